"""Time a command of two revisions of this repository alternately: the new one, the old one, the new one, ...

    python -m benchmarks.revisions OLD [NEW] --command "reproduce composition" [--repeats N] [--out FOLDER]

Each measurement runs `hyperfactor` with the sources of a revision, in an empty folder of its own, with the packages of
this environment. OLD and NEW are names that git knows; NEW is HEAD by default. Prints a table and writes it with the
machine's description to FOLDER/revisions.json.
"""

from hyperfactor import process

process.prepare_command()  # before numpy or torch is imported

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import shlex  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

from benchmarks.machine import describe  # noqa: E402
from benchmarks.ratios import Pair, markdown, measure  # noqa: E402

REPOSITORY = Path(__file__).parent.parent
ENTRY = "import sys; from hyperfactor.cli import main; sys.exit(main())"


@contextmanager
def sources(revision: str) -> Iterator[Path]:
    """Check out a revision in a temporary folder. SystemExit if git does not know it."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        added = subprocess.run(
            ["git", "-C", REPOSITORY, "worktree", "add", "--detach", tree, revision], capture_output=True, text=True
        )
        if added.returncode:
            sys.exit(f"revision: got {revision!r}, needs one that git knows: {added.stderr.strip().splitlines()[-1]}")
        try:
            yield tree / "src"
        finally:
            subprocess.run(["git", "-C", REPOSITORY, "worktree", "remove", "--force", tree], capture_output=True)


def seconds(source: Path, command: Sequence[str]) -> float:
    """Run `hyperfactor` with the given sources in an empty folder. SystemExit if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", ENTRY, *command], cwd=folder, env={**os.environ, "PYTHONPATH": str(source)},
            capture_output=True, text=True,
        )  # fmt: skip
        spent = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"hyperfactor {shlex.join(command)}: status {done.returncode}, {done.stderr.strip()[-500:]}")
    return spent


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks.revisions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old")
    parser.add_argument("new", nargs="?", default="HEAD")
    parser.add_argument("--command", action="append", required=True, help="may be given several times")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("hyperfactor-bench"))
    given = parser.parse_args(arguments)
    rows = []
    with sources(given.old) as old, sources(given.new) as new:
        for command in given.command:
            words = shlex.split(command)
            pair = Pair(command, "s", given.old, partial(seconds, new, words), lambda _, of=words: seconds(old, of))
            rows.append(measure(pair, given.repeats))
            print(markdown(rows[-1:]).splitlines()[-1], flush=True)
            given.out.mkdir(parents=True, exist_ok=True)
            found = {"machine": describe(), "old": given.old, "new": given.new, "rows": [vars(row) for row in rows]}
            (given.out / "revisions.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"\n{markdown(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
