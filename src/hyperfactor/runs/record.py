"""Record: the stored data of a finished run. Reading it does not import torch."""

import io
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl
from jaxtyping import Float

from hyperfactor.errors import RequestError
from hyperfactor.store.store import Store
from hyperfactor.subjects.judge import summarize

if TYPE_CHECKING:  # a spec imports torch, which takes seconds
    from hyperfactor.runs.spec import RunSpec


class Record:
    """The stored data of a finished run.

    Parameters
    ----------
    store : Store
        The store of the run.
    run : str
        The run's id.

    Attributes
    ----------
    id : str
        The run's id.
    manifest : dict
        The manifest.

    Raises
    ------
    RequestError
        If the run is not finished.
    """

    def __init__(self, store: Store, run: str):
        self._store = store
        self.id = run
        manifest = store.manifest(run)
        if manifest is None:
            raise RequestError(f"run {run}: got one that is not finished, needs a finished run")
        self.manifest = manifest

    @classmethod
    def open(cls, store: str | Path, prefix: str) -> Self:
        """Open the finished run whose id begins with `prefix`.

        Parameters
        ----------
        store : str or Path
            A folder of runs, or a bucket.
        prefix : str
            The beginning of one id.

        Returns
        -------
        Record
            The run's record.

        Raises
        ------
        RequestError
            If no run, several runs, or an unfinished run has such an id.
        """
        opened = Store(store)
        return cls(opened, opened.resolve(prefix))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id})"

    @cached_property
    def spec(self) -> "RunSpec":
        """The spec of the run. Reading it imports torch, which takes seconds."""
        from hyperfactor.runs.recorded import recorded_spec

        return recorded_spec(self._store, self.id)

    @cached_property
    def history(self) -> pl.DataFrame:
        """The training history, one row every `record_every` steps: step, images, seconds, loss, `region.measure`."""
        return self._table("history.parquet")

    @cached_property
    def evaluation(self) -> pl.DataFrame:
        """One row for each drawing that was judged when the run was finished (see `subjects.judge.judge`)."""
        return self._table("evaluation.parquet")

    def accuracy(self) -> pl.DataFrame:
        """The evaluation, summarised in one row a region (see `subjects.judge.summarize`)."""
        read = [column for column in self.evaluation.columns if column.endswith("_read")]
        return summarize(self.evaluation, tuple(column.removesuffix("_read") for column in read))

    @cached_property
    def pictures(self) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n c h w"]]:
        """Factor values and pictures of the judged drawings."""
        from safetensors.numpy import load

        tensors = load(self._store.read(self.id, "samples.safetensors"))
        return tensors["factors"], tensors["images"]

    def _table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(io.BytesIO(self._store.read(self.id, name)))
