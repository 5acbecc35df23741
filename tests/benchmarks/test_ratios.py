"""The table of ratios, the order of measurements, and the guard."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import earlier, guard
from benchmarks.machine import alike
from benchmarks.ratios import Accepted, AtLeast, MissingError, Pair, Row, accept, load, markdown, measure, save, worse

ROOT = Path(__file__).parents[2]


def row(*ratios: float, name: str = "pair", unit: str = "s") -> Row:
    """A row in which the other side takes so many seconds, and ours one."""
    return Row(name, unit, "peer", [1.0] * len(ratios), list(ratios))


def test_sides_are_measured_alternately():
    calls = []

    def ours() -> float:
        calls.append("ours")
        return 2.0

    def other(figure: float) -> float:
        calls.append("other")
        return 3 * figure

    found = measure(Pair("pair", "s", "peer", ours, other, repeats=3))
    assert calls == ["ours", "other"] * 3
    assert found.ratios == [3.0, 3.0, 3.0]
    assert measure(Pair("pair", "s", "peer", ours, other, repeats=3), repeats=1).ours == [2.0]


def test_a_ratio_says_how_much_better_ours_is():
    assert Row("a", "s", "peer", [2.0], [6.0]).ratios == [3.0]  # seconds
    assert Row("a", "pictures/s", "peer", [6.0], [2.0]).ratios == [3.0]


def test_a_missing_package_is_told():
    def other(_: float) -> float:
        raise MissingError("no ripser")

    found = measure(Pair("pair", "s", "peer", lambda: 1.0, other))
    assert found.missing == "no ripser"
    assert "not measured: no ripser" in markdown([found])
    assert worse([found], {"pair": Accepted(10.0, 0.1)}) == []


def test_a_side_that_was_stopped_has_a_ratio_of_more():
    found = measure(Pair("pair", "s", "peer", lambda: 2.0, lambda ours: AtLeast(30 * ours), 1))
    assert found.stopped
    assert markdown([found]).splitlines()[-1] == "| pair | s | 2 | peer | > 60 | > 30 |"


def test_the_table_has_median_minimum_and_maximum():
    assert markdown([row(2.0, 5.0, 3.0)]).splitlines()[-1] == "| pair | s | 1 | peer | 3 (2 to 5) | 3 (2 to 5) |"


@pytest.mark.parametrize(("ratio", "told"), [(12.0, False), (10.0, False), (8.1, False), (7.9, True)])
def test_only_more_than_the_noise_is_worse(ratio: float, told: bool):
    found = worse([row(ratio, ratio, ratio)], {"pair": Accepted(10.0, 0.2)})
    assert bool(found) == told
    assert all(line.startswith("pair: got a ratio of 7.9, needs 8") for line in found)


def test_one_low_repeat_is_not_worse():
    assert worse([row(1.0, 10.0, 10.0)], {"pair": Accepted(10.0, 0.2)}) == []


def test_accepted_ratios_are_read_back(tmp_path: Path):
    path = tmp_path / "accepted.json"
    rows = [row(9.0, 8.0, 10.0, 11.0, 500.0), Row("b", "s", "peer", missing="no")]
    save(path, {"Intel": accept(rows, {"b": Accepted(2, 0.3)}), "AMD": {"b": Accepted(3, 0.1)}})
    assert load(path) == {"Intel": {"b": Accepted(2, 0.3), "pair": Accepted(10.0, 0.3)}, "AMD": {"b": Accepted(3, 0.1)}}


def test_ratios_are_guarded_on_their_own_kind_of_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("benchmarks.__main__.ACCEPTED", tmp_path / "accepted.json")
    save(tmp_path / "accepted.json", {"Intel": {"pair": Accepted(10.0, 0.2)}})
    low = [row(5.0, 5.0, 5.0)]
    assert guard(low, "Intel", accepts=False) == 1
    assert "pair: got a ratio of 5, needs 8" in capsys.readouterr().out
    assert guard(low, "AMD", accepts=False) == 0
    assert "no ratio is accepted on AMD of: pair" in capsys.readouterr().out
    assert guard(low, "AMD", accepts=True) == 0
    assert guard([row(4.0, 4.0, 4.0)], "AMD", accepts=False) == 1
    assert load(tmp_path / "accepted.json")["Intel"] == {"pair": Accepted(10.0, 0.2)}


def test_the_committed_ratios_can_be_read():
    accepted = load(ROOT / "benchmarks" / "accepted.json")
    assert all(0 < entry.noise < 1 and entry.ratio > 0 for of_kind in accepted.values() for entry in of_kind.values())


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True)


def test_the_quick_run_of_the_cheapest_pair_writes_both_files_and_is_resumed(tmp_path: Path):
    done = run("percolation: 64", "--quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    file = tmp_path / "bench.json"
    found = json.loads(file.read_text())
    (about,) = found["rows"]
    assert about["ratios"] == [about["other"][0] / about["ours"][0]]
    assert found["machine"]["matrix product, GFLOP/s of one thread"] > 0
    assert (tmp_path / "bench.md").read_text().startswith("| pair |")
    about["ours"] = [about["other"][0] / 1234]
    found["rows"].append(about | {"name": "another pair"})
    file.write_text(json.dumps(found))
    done = run("percolation: 64", "--quick", "--resume", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = json.loads(file.read_text())["rows"]
    assert rows[0]["ratios"] == [pytest.approx(1234)]
    assert [row["name"] for row in rows] == [about["name"], "another pair"]
    assert set(earlier(file, found["machine"], quick=True)) == {about["name"], "another pair"}
    with pytest.raises(SystemExit, match="of a quick run, needs one of the same kind"):
        earlier(file, found["machine"], quick=False)


def test_only_what_was_measured_on_a_machine_like_this_one_is_resumed():
    one = {"processor": "a", "cores": 2, "python": "3.11.7", "packages": {"torch": "2.13.0"}, "threads": 1, "load": 0.1}
    assert alike(one, one | {"load": 5.0})
    assert not alike(one, one | {"processor": "b"})
    assert not alike(one, one | {"packages": {"torch": "2.12.0"}})


def test_an_unknown_pair_is_refused(tmp_path: Path):
    done = run("perculation", "--out", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.startswith("pair: got 'perculation', needs")
    assert not (tmp_path / "none").exists()
