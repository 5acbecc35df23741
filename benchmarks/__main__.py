"""Measure this project against what a user would otherwise pick.

    python -m benchmarks [NAME ...] [--out FOLDER] [--resume] [--quick] [--repeats N] [--list] [--accept]

Prints a table of ratios and writes bench.json and bench.md. A NAME selects the pairs whose names begin with it. Ends
with status 1 if a ratio is worse, by more than its noise, than the one accepted on this kind of processor
(benchmarks/accepted.json). `--quick` measures each pair once on the smallest size, shows that it runs, and is compared
with nothing. `--resume` keeps what an interrupted command has measured in the same folder.
"""

from hyperfactor import process

process.prepare_command()  # before numpy, torch or numba is imported: one thread

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402

from benchmarks import learning, networks, tools  # noqa: E402
from benchmarks.machine import alike, describe  # noqa: E402
from benchmarks.ratios import Pair, Row, accept, load, markdown, measure, read, save, unguarded, worse  # noqa: E402
from hyperfactor.store.named import write_whole  # noqa: E402

ACCEPTED = Path(__file__).parent / "accepted.json"


def pairs(quick: bool, folder: Path, resume: bool) -> list[Pair]:
    """All pairs, the quickest first."""
    return [*tools.pairs(quick), *networks.pairs(quick), *learning.pairs(quick, folder, resume)]


def chosen(known: Sequence[Pair], names: Sequence[str]) -> list[Pair]:
    """The pairs whose names begin with one of the names; all if there are none. SystemExit for an unknown name."""
    for name in names:
        if not any(pair.name.startswith(name) for pair in known):
            sys.exit(f"pair: got {name!r}, needs the beginning of one of {', '.join(pair.name for pair in known)}")
    return [pair for pair in known if not names or any(pair.name.startswith(name) for name in names)]


def earlier(file: Path, machine: dict[str, Any], quick: bool) -> dict[str, Row]:
    """The rows of a bench.json that were measured, by name. SystemExit if another machine, or size, measured them."""
    if not file.exists():
        return {}
    found = json.loads(file.read_text())
    if not alike(machine, found["machine"]):
        sys.exit(f"--resume: got {file} of another machine or other packages, needs one of this machine")
    if found.get("quick", False) != quick:
        sys.exit(f"--resume: got {file} of {'a whole' if quick else 'a quick'} run, needs one of the same kind")
    return {row.name: row for row in read(found["rows"]) if not row.missing}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("hyperfactor-bench"))
    parser.add_argument("--resume", action="store_true", help="do not measure again what is in the folder")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, help="of each pair, in place of its own number")
    parser.add_argument("--list", action="store_true", help="print the names of the pairs")
    parser.add_argument("--accept", action="store_true", help="write the ratios to benchmarks/accepted.json")
    given = parser.parse_args(arguments)
    some = chosen(pairs(given.quick, given.out, given.resume), given.names)
    if given.list:
        print("\n".join(f"{pair.name:40} against {pair.other_name}" for pair in some))
        return 0
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    machine, rows = describe(), []
    known = earlier(given.out / "bench.json", machine, given.quick) if given.resume else {}
    for pair in some:
        rows.append(known.get(pair.name) or measure(pair, 1 if given.quick else given.repeats))
        print(markdown(rows[-1:]).splitlines()[-1], flush=True)
        names = {row.name for row in rows}
        kept = [*rows, *(row for name, row in known.items() if name not in names)]
        table = [{**vars(row), "ratios": row.ratios} for row in kept]
        document = {"machine": machine, "quick": given.quick, "rows": table}
        write_whole(given.out / "bench.json", f"{json.dumps(document, indent=1)}\n".encode())
        about = "\n".join(f"- {key}: {value}" for key, value in machine.items())
        (given.out / "bench.md").write_text(f"{markdown(kept)}\n{about}\n")
    print(f"\n{markdown(rows)}")
    if given.quick:
        return 0
    return guard(rows, machine["kind"], given.accept)


def guard(rows: Sequence[Row], kind: str, accepts: bool) -> int:
    """Accept the ratios, or compare them with those that were accepted on this kind of processor; return the status."""
    every = load(ACCEPTED)
    accepted = every.get(kind, {})
    if accepts:
        save(ACCEPTED, every | {kind: accept(rows, accepted)})
        return 0
    if others := unguarded(rows, accepted):
        print(f"no ratio is accepted on {kind} of: {', '.join(others)}")
    found = worse(rows, accepted)
    print("\n".join(found) or "no ratio is worse than accepted")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
