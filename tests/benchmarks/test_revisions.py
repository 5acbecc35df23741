"""A revision is measured with its own sources, and leaves nothing behind."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks import revisions


@pytest.fixture
def repository(tmp_path: Path, monkeypatch) -> Path:
    """A repository of two revisions whose command writes a file, with a word that differs, and sleeps."""
    folder, package = tmp_path / "repository", tmp_path / "repository" / "src" / "hyperfactor"
    package.mkdir(parents=True)
    git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git[:3], "init", "--quiet"], check=True)
    (package / "__init__.py").touch()
    for number in (1, 2):
        (package / "cli.py").write_text(
            "import os, sys, pathlib\n"
            "def main():\n"
            "    assert not os.listdir()\n"
            f"    with open(sys.argv[1], 'a') as file: file.write('{number}')\n"
            "    return int(sys.argv[2])\n"
        )
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", str(number)], check=True)
    monkeypatch.setattr(revisions, "REPOSITORY", folder)
    monkeypatch.setattr(revisions, "describe", dict)  # takes seconds
    return folder


def test_revisions_run_alternately_with_their_own_sources(repository: Path, tmp_path: Path, capsys):
    said = tmp_path / "said"
    arguments = ["HEAD~1", "--command", f"{said} 0", "--repeats", "2", "--out", str(tmp_path)]
    assert revisions.main(arguments) == 0
    assert said.read_text() == "2121"
    rows = json.loads((tmp_path / "revisions.json").read_text())["rows"]
    assert [(row["unit"], len(row["ours"]), len(row["other"]), row["other_name"]) for row in rows] == [
        ("s", 2, 2, "HEAD~1"), ("MB", 2, 2, "HEAD~1"),
    ]  # fmt: skip
    assert str(said) in capsys.readouterr().out
    trees = subprocess.run(["git", "-C", repository, "worktree", "list"], capture_output=True, text=True).stdout
    assert len(trees.splitlines()) == 1


def test_an_unknown_revision_and_a_failing_command_end_the_measurement(repository: Path, tmp_path: Path):
    with pytest.raises(SystemExit, match="revision: got 'no-such', needs one that git knows"):
        revisions.main(["no-such", "--command", "list", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="status 3"):
        revisions.main(["HEAD", "--command", f"{tmp_path / 'said'} 3", "--out", str(tmp_path)])


def test_memory_is_that_of_all_processes_at_the_peak():
    """A process of 100 MB that starts another of 100 MB."""
    held = "import time; held = b'1' * 100_000_000; "
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {held + 'time.sleep(60)'!r}]); "
    with subprocess.Popen([sys.executable, "-c", f"{child}{held}print(1, flush=True); time.sleep(60)"],
                          stdout=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        watched = psutil.Process(process.pid)
        others = watched.children()
        try:
            deadline = time.monotonic() + 60
            while revisions.memory(watched) < 200 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert 200 <= revisions.memory(watched) < 300
        finally:
            for one in (watched, *others):
                one.kill()
    assert revisions.memory(watched) == 0
