"""
The statistics of every recipe
==============================

Prediction, size of the pictures, and code: one row for each combination. The smoke preset has two of them.
"""

from hyperfactor import reproduce
from hyperfactor.figures import hyperfactorization, style

result = reproduce("hyperfactorization", preset="smoke", workers=1)
with style.context():
    figure = hyperfactorization.figure_8(result)

# %%
# .. autofunction:: hyperfactor.figures.hyperfactorization.figure_8
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/hyperfactorization`.
