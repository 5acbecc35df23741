"""Specs recorded in a store, as today's code reads them.

The id of a run is a hash of what differs from the defaults. If a default has changed, a run recorded by another version
may therefore have the id of a spec of today and yet other values. Today's code may also be unable to read a recorded
spec. Both cases are recognised here.
"""

from collections.abc import Mapping
from typing import Any

from hyperfactor.errors import RequestError, StoreError
from hyperfactor.runs.spec import RunSpec
from hyperfactor.store.store import Store
from hyperfactor.strict import changes, leaves

Recorded = Mapping[str, Any]  # a spec as plain data
CHECKED = 200  # largest number of specs that `remark` reads, which takes a millisecond each


def recorded_spec(store: Store, run: str) -> RunSpec:
    """The recorded spec of a run. Raises `StoreError` if there is none, or today's code cannot read it."""
    recorded = store.spec(run)
    if recorded is None:
        raise StoreError(f"run {run}: got no recorded spec, needs the one that was written; {store.files.remedy}")
    try:
        return RunSpec.parse(recorded)
    except RequestError as error:
        raise StoreError(f"run {run}: the recorded spec is not one of this version: {error}") from None


def check_same(spec: RunSpec, recorded: Recorded) -> None:
    """Refuse a recorded run that has the id of a spec but other values, because a default has changed.

    Parameters
    ----------
    spec : RunSpec
        Today's spec.
    recorded : mapping
        The spec that was recorded under its id.

    Raises
    ------
    StoreError
        If a value differs. The message names the key.
    """
    now = spec.model_dump(mode="json")
    if recorded == now:
        return
    remedy = (
        f"needs another store, or `hyperfactor runs remove {spec.id}`, which lets it be trained as the spec is today"
    )
    try:
        earlier = RunSpec.parse(recorded)
    except RequestError as error:
        raise StoreError(f"run {spec.id}: recorded by a version with other keys ({error}), {remedy}") from None
    before, today = dict(leaves(earlier.model_dump(mode="json"))), dict(leaves(now))
    for key in {**before, **today}:
        if before.get(key) != today.get(key):
            raise StoreError(
                f"run {spec.id}: recorded with {key} = {before.get(key)}, a default that is {today.get(key)} today, "
                f"{remedy}"
            )


def is_finished(store: Store, spec: RunSpec) -> bool:
    """Whether a store has the finished run of a spec.

    Parameters
    ----------
    store : Store
        The store.
    spec : RunSpec
        The spec.

    Returns
    -------
    bool
        True if the run is finished.

    Raises
    ------
    DamagedError
        If a file of the run is missing or has another size.
    StoreError
        If the run was recorded with other values (see `check_same`).
    """
    manifest = store.finished(spec.id)
    if manifest is not None:
        check_same(spec, manifest["spec"])
    return manifest is not None


def unlike(run: str, recorded: Recorded) -> str | None:
    """Compare the recorded spec of a run with today's spec of its id.

    Parameters
    ----------
    run : str
        The run's id.
    recorded : mapping
        The recorded spec.

    Returns
    -------
    str or None
        One line if they differ, else None.
    """
    try:
        spec = RunSpec.parse(recorded)
    except RequestError as error:
        return f"the recorded spec is not one of this version: {error}"
    if spec.id == run:
        return None
    for key, value in leaves(changes(spec, RunSpec())):
        if (today := _parsed(_without(recorded, key.split(".")))) is not None and today.id == run:
            default = dict(leaves(today.model_dump(mode="json"))).get(key)
            return f"recorded with {key} = {value}, a default that is {default} today"
    return f"recorded under another schema or with other defaults; today a run of these values has the id {spec.id}"


def _parsed(recorded: Recorded) -> RunSpec | None:
    try:
        return RunSpec.parse(recorded)
    except RequestError:
        return None


def _without(data: Recorded, path: list[str]) -> dict[str, Any]:
    head, *rest = path
    if rest and isinstance(data.get(head), Mapping):
        return {**data, head: _without(data[head], rest)}
    return {name: value for name, value in data.items() if name != head}


def remark(specs: Mapping[str, Recorded]) -> str | None:
    """Summarise which runs were recorded by other code and differ from today's specs.

    Parameters
    ----------
    specs : mapping of str to mapping
        Recorded specs by the ids of their runs. The first CHECKED of them are read.

    Returns
    -------
    str or None
        One line, or None if no run differs.
    """
    checked = dict(list(specs.items())[:CHECKED])
    found = [run for run, recorded in checked.items() if (spec := _parsed(recorded)) is None or spec.id != run]
    if not found:
        return None
    of = f"{len(specs)}" if len(checked) == len(specs) else f"the first {CHECKED} of {len(specs)}"
    return (
        f"{len(found)} of {of} runs that other code recorded are not runs of today's specs, such as {found[0]}: "
        f"{unlike(found[0], specs[found[0]])}"
    )
