"""Results are kept bit for bit and can be listed. A damaged result is reported."""

import json
import random
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from hyperfactor import MachineError, RequestError, Store
from hyperfactor.errors import DamagedError, WriteError
from hyperfactor.store import provenance, results
from hyperfactor.store.files import Folder, files_at
from hyperfactor.store.results import FOLDER, Content, Question
from hyperfactor.store.verify import repair, verify

QUESTION = Question("made up", "smoke", (0, 1), {"a": ("1f", "2f"), "b": ("3f",)})
CONTENT = Content(
    {"claims": [{"measured": 1 / 3, "interval": None}]},
    {"t": pl.DataFrame({"n": [1, None], "share": [1 / 3, 2 / 3], "model": ["a", "b"]})},
    {"R": np.arange(6.0).reshape(2, 3), "mask": np.array([True, False])},
)


def test_a_result_is_kept_to_the_bit_and_listed(place: str):
    files = files_at(place)
    assert Store(place).results() == []
    results.save(files, QUESTION, CONTENT)
    (found,) = Store(place).results()
    assert (found.key, found.question) == (QUESTION.key(), QUESTION)
    assert found.versions["numpy"] == version("numpy")
    assert found.made.startswith("20")
    back = results.load(files, found.key)
    assert back.documents == CONTENT.documents
    assert back.tables["t"].equals(CONTENT.tables["t"])
    assert back.tables["t"].schema == CONTENT.tables["t"].schema
    for name, values in CONTENT.arrays.items():
        assert np.array_equal(back.arrays[name], values)
        assert back.arrays[name].dtype == values.dtype
    assert results.resolve(files, found.key[:5]) == found


def test_results_are_listed_in_the_order_in_which_they_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hours = iter([3, 1, 2])
    clock = SimpleNamespace(now=lambda zone: datetime(2026, 1, 1, next(hours), tzinfo=zone))
    monkeypatch.setattr(results, "datetime", clock)
    for preset in ("third", "first", "second"):
        results.save(Folder(tmp_path), Question("e", preset, (0,), {}), CONTENT)
    assert [one.question.preset for one in Store(tmp_path).results()] == ["first", "second", "third"]


@pytest.mark.parametrize(
    "other",
    [
        Question("another", "smoke", (0, 1), QUESTION.runs),
        Question("made up", "laptop", (0, 1), QUESTION.runs),
        Question("made up", "smoke", (0,), QUESTION.runs),
        Question("made up", "smoke", (0, 1), {"a": ("1f",), "b": ("3f",)}),
        Question("made up", "smoke", (0, 1), {"a": ("1f", "2f"), "c": ("3f",)}),
    ],
)
def test_another_question_is_another_result(other: Question):
    assert other.key() != QUESTION.key()


@pytest.mark.parametrize("package", ["numpy", "gudhi", "scikit-learn", "umap-learn", "scipy"])
def test_another_version_of_what_computes_it_makes_it_another(monkeypatch: pytest.MonkeyPatch, package: str):
    before = QUESTION.key()
    monkeypatch.setattr(provenance, "version", lambda name: "0" if name == package else version(name))
    results._packages.cache_clear()
    after = QUESTION.key()
    results._packages.cache_clear()
    assert after != before


def test_two_that_keep_the_same_result_do_not_mix_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The other one writes both of its files between the two of this one."""
    files, other = Folder(tmp_path), replace(CONTENT, documents={"other": 1})
    write, names = files.write, []

    def interrupted(name: str, content: bytes) -> None:
        names.append(name)
        if len(names) == 2:
            results.save(Folder(tmp_path), QUESTION, other)
            assert list(verify(Store(tmp_path))) == []  # what this one has written is young
        write(name, content)

    monkeypatch.setattr(files, "write", interrupted)
    results.save(files, QUESTION, CONTENT)
    assert results.load(files, QUESTION.key()).documents == CONTENT.documents
    assert list(verify(Store(tmp_path))) == []
    monkeypatch.setattr(results, "OLD", -1)
    (remains,) = verify(Store(tmp_path))
    assert repair(Store(tmp_path), remains) == "deleted"
    assert results.load(files, QUESTION.key()).documents == CONTENT.documents


def test_one_result_that_cannot_be_read_hides_no_damage(tmp_path: Path):
    store = Store(tmp_path)
    questions = [Question(name, "smoke", (0,), {}) for name in "abc"]
    for question in questions:
        results.save(store.files, question, CONTENT)
    keys = sorted(question.key() for question in questions)
    first = tmp_path / FOLDER / f"{keys[0]}.json"
    about = json.loads(first.read_text()) | {"schema": 99}
    del about["checksum"]
    first.write_text(json.dumps({**about, "checksum": results._checksum(about)}))
    (last,) = (tmp_path / FOLDER).glob(f"{keys[2]}.*.npz")
    last.write_bytes(b"")
    assert [(problem.file, problem.remedy) for problem in verify(store)] == [
        (first.name, "leave"), (f"{keys[2]}.json", "delete"),
    ]  # fmt: skip


def test_a_flipped_byte_is_found_and_the_result_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "OLD", -1)
    store, moments = Store(tmp_path), random.Random(0)
    results.save(store.files, QUESTION, CONTENT)
    assert list(verify(store)) == []
    for path in sorted((tmp_path / FOLDER).iterdir()):
        content = path.read_bytes()
        for place in [0, len(content) - 1, *moments.sample(range(len(content)), 40)]:
            flipped = bytearray(content)
            flipped[place] ^= 1 << moments.randrange(7)
            path.write_bytes(flipped)
            if flipped.strip() != content.strip():  # white space at the end of JSON
                with pytest.raises(DamagedError, match=r"needs the result that was written"):
                    results.load(store.files, QUESTION.key())
        path.write_bytes(content)
    next((tmp_path / FOLDER).glob("*.npz")).write_bytes(b"")
    (tmp_path / FOLDER / "notes.txt").write_text("somebody else's")
    for _ in range(2):
        for problem in list(verify(store)):
            assert problem.what == "not as it was written"
            assert repair(store, problem) == "deleted"
    assert list(verify(store)) == []
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["notes.txt"]


def test_the_newest_result_of_each_experiment_is_chosen_unless_keys_are_given(tmp_path: Path, monkeypatch):
    questions = [Question(name, preset, (0,), {}) for name in ("a", "b") for preset in ("smoke", "laptop")]
    for hour, question in enumerate(questions):
        monkeypatch.setattr(
            results, "datetime", SimpleNamespace(now=lambda zone, h=hour: datetime(2026, 1, 1, h, tzinfo=zone))
        )
        results.save(Folder(tmp_path), question, CONTENT)
    keys = [question.key() for question in questions]
    assert [one.key for one in results.choose(Folder(tmp_path), [])] == [keys[1], keys[3]]
    assert [one.key for one in results.choose(Folder(tmp_path), [keys[2][:8], keys[1]])] == [keys[2], keys[1]]
    with pytest.raises(RequestError, match="result: got 2 results of a, needs one of each experiment"):
        results.choose(Folder(tmp_path), keys[:2])
    with pytest.raises(RequestError, match="store .*none: got no kept result, needs some"):
        results.choose(Folder(tmp_path / "none"), [])


def test_what_is_no_result_is_told(tmp_path: Path):
    with pytest.raises(
        RequestError, match="result: got 'ab', which names no result in .*needs the beginning of one key"
    ):
        results.resolve(Folder(tmp_path), "ab")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises((WriteError, MachineError), match="Not a directory"):
        results.save(Folder(tmp_path / "file"), QUESTION, CONTENT)
