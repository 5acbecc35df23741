"""A revision is measured with its own sources, and leaves nothing behind."""

import json
import subprocess
from pathlib import Path

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
    (row,) = json.loads((tmp_path / "revisions.json").read_text())["rows"]
    assert (len(row["ours"]), len(row["other"]), row["other_name"]) == (2, 2, "HEAD~1")
    assert str(said) in capsys.readouterr().out
    trees = subprocess.run(["git", "-C", repository, "worktree", "list"], capture_output=True, text=True).stdout
    assert len(trees.splitlines()) == 1


def test_an_unknown_revision_and_a_failing_command_end_the_measurement(repository: Path, tmp_path: Path):
    with pytest.raises(SystemExit, match="revision: got 'no-such', needs one that git knows"):
        revisions.main(["no-such", "--command", "list", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="status 3"):
        revisions.main(["HEAD", "--command", f"{tmp_path / 'said'} 3", "--out", str(tmp_path)])
