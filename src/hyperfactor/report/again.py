"""The report of results that a store keeps, without training or analysis."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hyperfactor.errors import RequestError, StoreError
from hyperfactor.experiments import EXPERIMENTS, named
from hyperfactor.experiments.base import Result
from hyperfactor.report.page import write_report
from hyperfactor.store.provenance import source
from hyperfactor.store.results import Kept, choose
from hyperfactor.store.store import Store


def report_again(store: str | Path, keys: Sequence[str], out: str | Path) -> tuple[list[Result], Path]:
    """Write the report of kept results (see `write_report`).

    Parameters
    ----------
    store : str or Path
        A folder, or the address of a bucket.
    keys : sequence of str
        Keys of results, or their beginnings. If it is empty, the newest result of each experiment is taken.
    out : str or Path
        The folder of the report.

    Returns
    -------
    list of Result, Path
        The results, and the page.

    Raises
    ------
    RequestError
        If a key names no result or several, two results are of one experiment, or the store keeps none.
    StoreError
        If a result is damaged, or was kept by other code in a form that cannot be shown.
    """
    chosen = choose(Store(store).files, keys)
    if unknown := [one for one in chosen if one.question.experiment not in EXPERIMENTS]:
        name = unknown[0].question.experiment
        raise RequestError(f"result {unknown[0].key}: got experiment {name!r}, needs {named()}")
    results = [Result.open(store, one.key) for one in chosen]
    try:
        return results, write_report(results, out)
    except (LookupError, pl.exceptions.PolarsError):
        if not (other := [one for one in chosen if one.versions["source"] != source()]):
            raise
        raise _cannot_be_shown(other[0]) from None


def _cannot_be_shown(one: Kept) -> StoreError:
    name = one.question.experiment
    return StoreError(
        f"result {one.key}: got one that other code kept on {one.made} and that cannot be shown, "
        f"needs one of this version; `hyperfactor reproduce {name}` computes it again"
    )
