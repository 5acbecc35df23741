"""An analysis that was kept is the analysis, to the bit, and a damaged one is computed again."""

import itertools
import random
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from hyperfactor.experiments import base, kept
from hyperfactor.experiments.base import Experiment
from hyperfactor.experiments.claims import Bound, Estimate, claim
from hyperfactor.runs.files import Folder

RUNS = {
    "a": [
        SimpleNamespace(id=name, spec=None, manifest={"seconds": {"train": 2.0, "evaluate": 1.0}})
        for name in ("1f", "2f")
    ]
}
OTHERS = {"a": [RUNS["a"][0]]}


def experiment(calls: list[int]) -> Experiment:
    def analyse(runs):
        calls.append(1)
        values = [Estimate(0.1 + 0.2, 0.0, 1 / 3, "by hand")]
        table = pl.DataFrame({"n": [1, None], "share": [1 / 3, 2 / 3], "model": ["a", "b"]})
        return (
            [
                claim("x.y", "2", "a statement", Bound(">", 0.1), lambda: values),
                claim("x.z", "2", "another", Bound(">", 0.1), lambda: values, terms="paper", unless=["not learnt"]),
            ],
            {"t": table},
            {"R": np.arange(6.0).reshape(2, 3)},
        )

    return Experiment("made up", "?", (), lambda _preset, _seed: {}, analyse)


def ask(calls: list[int], files: Folder, runs=RUNS):
    """Claims, tables and arrays; the runs' notes are of no interest here."""
    e = experiment(calls)
    notes = {role: [SimpleNamespace(**vars(r) | {"spec": Spec()}) for r in of_role] for role, of_role in runs.items()}
    return e.result("smoke", (0, 1), notes, files)  # pyright: ignore[reportArgumentType]


class Spec:
    seed = 0

    def model_dump(self, mode: str):
        return {}


def test_it_is_kept_to_the_bit_and_found_again(tmp_path: Path):
    calls: list[int] = []
    first, again = ask(calls, Folder(tmp_path)), ask(calls, Folder(tmp_path))
    assert len(calls) == 1
    assert again.claims == first.claims
    assert [claim.verdict for claim in again.claims] == ["undecided", "not measured"]
    assert again.tables["t"].equals(first.tables["t"])
    assert again.tables["t"].schema == first.tables["t"].schema
    assert np.array_equal(again.arrays["R"], first.arrays["R"])
    ask(calls, Folder(tmp_path), OTHERS)
    assert len(calls) == 2


def test_a_damaged_one_is_computed_again(tmp_path: Path):
    calls: list[int] = []
    ask(calls, Folder(tmp_path))
    (path,) = (tmp_path / ".results").iterdir()
    content, moments = path.read_bytes(), random.Random(0)
    for k, place in enumerate([0, 31, 32, len(content) - 1, *moments.sample(range(len(content)), 50)]):
        flipped = bytearray(content)
        flipped[place] ^= 1 << moments.randrange(8)
        path.write_bytes(flipped)
        ask(calls, Folder(tmp_path))
        assert len(calls) == k + 2
    path.write_bytes(content[:100])
    ask(calls, Folder(tmp_path))
    assert path.read_bytes() == content
    path.unlink()
    path.mkdir()
    before = len(calls)
    ask(calls, Folder(tmp_path))
    assert len(calls) == before + 1


def test_a_store_that_cannot_be_written_keeps_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    calls: list[int] = []
    for _ in range(2):
        ask(calls, Folder(tmp_path / "file"))
    assert len(calls) == 2


@pytest.mark.parametrize("package", ["numpy", "gudhi", "scikit-learn", "umap-learn", "scipy"])
def test_another_version_of_what_computes_it_makes_it_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
):
    calls: list[int] = []
    ask(calls, Folder(tmp_path))
    monkeypatch.setattr(kept, "version", lambda name: "0" if name == package else version(name))
    kept._versions.cache_clear()
    ask(calls, Folder(tmp_path))
    kept._versions.cache_clear()
    assert len(calls) == 2


def test_the_seconds_of_a_result_are_those_of_its_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two runs of 3 s each, and an analysis by a clock that gains a quarter of a second at each look."""
    looks = itertools.count()
    monkeypatch.setattr(base.time, "perf_counter", lambda: 1000 + next(looks) / 4)
    assert ask([], Folder(tmp_path)).seconds == 6.25
