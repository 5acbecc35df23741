"""
How many samples does a factorized code need?
=============================================

A picture has two factors, x and y, with N values each. A *factorized* code has units for the values of x and other
units for the values of y. A *coupled* (or conjunctive) code has one unit for each pair (x, y), as a place cell fires at
one place.

Both codes tell every pair apart. They differ in what has to be learnt behind them. Below, a linear read-out learns x
and y from some random pairs and is asked for all pairs.
"""

import numpy as np
from matplotlib.figure import Figure

from hyperfactor.measures.geometry import additivity


def factorized(N):
    """(N, N, 2 N): a unit for each value of x, and one for each value of y."""
    x, y = np.eye(N)[:, None].repeat(N, axis=1), np.eye(N)[None].repeat(N, axis=0)
    return np.concatenate([x, y], axis=-1)


def coupled(N):
    """(N, N, N^2): a unit for each pair."""
    return np.eye(N * N).reshape(N, N, N * N)


# %%
# The share of the variance that x and y explain only together is 0 for a factorized code. For a coupled code it is
# nearly all of the variance. The same number is measured in models, see :doc:`/torus`.

for code in (factorized, coupled):
    print(f"{code.__name__:<10} x and y explain {additivity(code(16)).interaction:.3f} only together")

# %%
# The read-out is least squares from the code to the 2 N units of the factorized code. It is *right* for a pair if the
# largest of its units for x is the one for x, and the same holds for y. As in the experiments of this project, the
# number *needed* is the number of random pairs with which 60 % of all pairs are right.


def pairs_needed(code, N, seed):
    """Number of random pairs with which the read-out is right for 60 % of all N^2 pairs."""
    R, target = code(N).reshape(N * N, -1), factorized(N).reshape(N * N, -1)
    values = np.indices((N, N)).reshape(2, -1).T
    order = np.random.default_rng(seed).permutation(N * N)
    enough, few = N * N, 0
    while enough - few > 1:
        n = (enough + few) // 2
        read = R @ (np.linalg.pinv(R[order[:n]]) @ target[order[:n]])
        found = read.reshape(-1, 2, N).argmax(axis=-1)
        right = (found == values).all(axis=1).mean()
        enough, few = (n, few) if right >= 0.6 else (enough, n)
    return enough


sizes, needed = np.array([4, 8, 12, 16]), {}
for code in (factorized, coupled):
    needed[code] = np.array([np.mean([pairs_needed(code, N, seed) for seed in range(10)]) for N in sizes])
    exponent = np.polyfit(np.log(sizes), np.log(needed[code]), 1)[0]
    print(f"{code.__name__:<10} N = 4, 8, 12, 16: {np.round(needed[code], 1)} pairs, exponent {exponent:.2f}")

# %%
# For large N both numbers are known. A factorized code is right if it has seen both values. Of N values a share
# 1 - exp(-n / N) has been seen after n pairs, and the square of this is 0.6 at the number computed below. A coupled
# code must have seen 60 % of the pairs themselves.

a_value = -np.log(1 - np.sqrt(0.6))
print(f"factorized: {a_value:.2f} N pairs; coupled: 0.6 N^2 pairs")

# %%
# **Answer.** The number of samples grows as N for a factorized code, and as N\ :sup:`2` for a coupled code. So the
# number of pictures that a model needs tells which kind of code it has learnt.

figure = Figure(figsize=(5, 3), layout="constrained")
axes = figure.subplots()
for (code, counts), colour in zip(needed.items(), ("#0072B2", "#D55E00"), strict=True):
    axes.loglog(sizes, counts, "o", color=colour, label=code.__name__)
axes.loglog(sizes, a_value * sizes, color="#0072B2", linewidth=1)
axes.loglog(sizes, 0.6 * sizes**2, color="#D55E00", linewidth=1)
axes.set(xlabel="N, values of a factor", ylabel="pairs needed", xticks=sizes, xticklabels=sizes)
axes.minorticks_off()
axes.legend(frameon=False)

# %%
# In the experiment data_efficiency, models need 1.4 to 1.5 bumps a value of a factor at every N, with an exponent of
# 1.04 (0.91 to 1.17) where the paper reports 2: see :doc:`/experiments`. With two to five factors the exponent is 0.26
# in the number of combinations (:doc:`/many_factors`).
