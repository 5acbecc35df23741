"""The time and the memory of one full percolation curve.

    python benchmarks/percolation.py [--side N]

Fills a periodic square lattice of N x N sites (10,000: 10^8 sites) once, in a process of its own, and prints seconds
and peak memory. Then prints the time of the same curve in units of the time that scipy takes to label the half-full
lattice once, which gives a single point of the curve.
"""

import argparse
import resource
import time

import numpy as np
from scipy.ndimage import label

from hyperfactor import rng
from hyperfactor.percolation import site_percolation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=10_000)
    side = parser.parse_args().side
    site_percolation((16, 16))  # compile
    began = time.perf_counter()
    curve = site_percolation((side, side))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{curve.sites} sites, {len(curve.occupied)} points: {seconds:.1f} s, peak {peak:.2f} GB")
    half = rng.stream(0, "benchmark.percolation").random((side, side), dtype=np.float32) < 0.5
    began = time.perf_counter()
    label(half)
    print(f"{seconds / (time.perf_counter() - began):.1f} times as long as one labelling by scipy")


if __name__ == "__main__":
    main()
