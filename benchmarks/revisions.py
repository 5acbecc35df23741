"""Time and memory of a command of two revisions of this repository, alternately: the new one, the old one, ...

    python -m benchmarks.revisions OLD [NEW] --command "reproduce composition" [--repeats N] [--out FOLDER]

Each measurement runs `hyperfactor` with the sources of a revision, in an empty folder of its own, with the packages of
this environment. OLD and NEW are names that git knows; NEW is HEAD by default. The memory is that of all processes of
the command at its peak, looked at every EVERY seconds; what they share counts once. Prints a table and writes it with
the machine's description to FOLDER/revisions.json.
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
from contextlib import contextmanager, suppress  # noqa: E402
from pathlib import Path  # noqa: E402

import psutil  # noqa: E402

from benchmarks.machine import describe  # noqa: E402
from benchmarks.ratios import Row, markdown  # noqa: E402

REPOSITORY = Path(__file__).parent.parent
EVERY = 0.5  # seconds between looks at the memory
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


def memory(command: psutil.Process) -> float:
    """Memory of a process and its descendants, in MB; what they share counts once (on Linux)."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in (command, *command.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                found = one.memory_full_info()
                total += getattr(found, "pss", found.uss)
    return total / 1e6


def run(source: Path, command: Sequence[str]) -> tuple[float, float]:
    """Run `hyperfactor` with the given sources in an empty folder; return seconds and MB. SystemExit if it fails."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        began, peak = time.perf_counter(), 0.0
        child = subprocess.Popen(
            [sys.executable, "-c", ENTRY, *command], cwd=folder, env={**os.environ, "PYTHONPATH": str(source)},
            stdout=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip
        watched = psutil.Process(child.pid)
        while child.poll() is None:
            peak = max(peak, memory(watched))
            with suppress(subprocess.TimeoutExpired):
                child.wait(EVERY)
        spent = time.perf_counter() - began
        said.seek(0)
        if child.returncode:
            sys.exit(f"hyperfactor {shlex.join(command)}: status {child.returncode}, {said.read().strip()[-500:]}")
    return spent, peak


def compare(command: str, sides: Sequence[Path], old: str, repeats: int) -> list[Row]:
    """Measure a command with the new and the old sources alternately; return the rows of its time and its memory."""
    found = [[run(side, shlex.split(command)) for side in sides] for _ in range(repeats)]
    return [
        Row(name, unit, old, [ours[k] for ours, _ in found], [other[k] for _, other in found])
        for k, (name, unit) in enumerate(((command, "s"), (f"{command}: peak memory", "MB")))
    ]


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
            rows += compare(command, (new, old), given.old, given.repeats)
            print(*markdown(rows[-2:]).splitlines()[-2:], sep="\n", flush=True)
            given.out.mkdir(parents=True, exist_ok=True)
            found = {"machine": describe(), "old": given.old, "new": given.new, "rows": [vars(row) for row in rows]}
            (given.out / "revisions.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"\n{markdown(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
