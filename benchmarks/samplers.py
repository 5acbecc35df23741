"""Do few deterministic steps lose accuracy? Compares samplers and numbers of steps on the same trained model.

    python benchmarks/samplers.py RUN [--store DIR] [--points N]

Prints for each sampler the shares that are right in all factors and valid, and the median error, for N requests of each
recorded region with the same initial noise. Also prints the time relative to 10 steps of DDIM in the same process.
"""

import argparse
import time

import polars as pl

from hyperfactor import Run
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.runs.run import evaluate

CASES = [
    ("ddim", 10),
    ("ddim", 5),
    ("ddim", 20),
    ("ddim", 50),
    ("dpm-solver++", 10),
    ("dpm-solver++", 20),
    ("ddpm", 1000),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--store", default="hyperfactor-store")
    parser.add_argument("--points", type=int, default=24)
    arguments = parser.parse_args()
    run = Run.open(arguments.store, arguments.run)
    rows, reference = [], 0.0
    evaluate(run.model, run.spec, most=2)  # warm up
    for sampler, steps in CASES:
        model = run.model.drawing_by(SamplingSpec.parse({"sampler": sampler, "steps": steps}))
        began = time.perf_counter()
        frame, _ = evaluate(model, run.spec, most=arguments.points)
        seconds = time.perf_counter() - began
        reference = reference or seconds
        share = frame.select(pl.len(), pl.col("all", "valid", "right").mean(), pl.col("error").median())
        rows.append({"sampler": sampler, "steps": steps, **share.to_dicts()[0], "time ratio": seconds / reference})
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=3):
        print(pl.DataFrame(rows))


if __name__ == "__main__":
    main()
