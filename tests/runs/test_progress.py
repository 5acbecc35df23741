"""What is printed where no bar can be drawn, by a clock that the test moves."""

from types import SimpleNamespace
from typing import Any

import pytest

from hyperfactor import RunSpec
from hyperfactor.runs import progress
from hyperfactor.runs.progress import Progress


def test_a_log_shows_the_time_left_every_ten_minutes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """One worker; a step of 3 s, 1,000 steps a run, and judging that takes a small part of that."""
    specs = [RunSpec.parse({"seed": seed, "training": {"steps": 1000}, "data": {"test_points": 1}}) for seed in (0, 1)]
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    printed: dict[float, str] = {}

    def note() -> None:
        if line := capsys.readouterr().err.strip():
            printed[now[0]] = line

    with Progress(specs) as bar:
        for spec in specs:
            for step in range(1, 1001):
                now[0] += 3
                bar.step(spec, step)
                note()
            now[0] += 1
            run: Any = SimpleNamespace(id=spec.id, manifest={"seconds": {"train": 3000.0, "evaluate": 1.0}})
            bar.finished(run)
            note()
    lines = {when: line.partition(": ")[0] for when, line in printed.items()}
    assert list(lines) == [9, 609, 1209, 1809, 2409, 3001, 3601, 4201, 4801, 5401, 6001, 6002]
    assert [when for when, what in lines.items() if what != "training"] == [3001, 6002]
    assert printed[609] == "training: about 90 minutes left"
    assert printed[3001].startswith("run 1 of 2: trained in 3000 s, judged in 1 s")
    assert printed[3001].endswith("about 50 minutes left")
    assert printed[5401] == "training: about 10 minutes left"
    assert printed[6002].endswith(f"({specs[1].id})")


def test_who_asks_for_quiet_gets_no_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    spec = RunSpec.parse({"training": {"steps": 1000}})
    with Progress([spec], quiet=True) as bar:
        for step in range(1, 1001):
            now[0] += 3
            bar.step(spec, step)
    assert capsys.readouterr() == ("", "")
