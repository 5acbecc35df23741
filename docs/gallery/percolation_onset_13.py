"""
Figure 13: the largest cluster
==============================

This figure needs no model: it is computed from simulated lattices.
"""

from hyperfactor import reproduce
from hyperfactor.figures import percolation_onset, style

result = reproduce("percolation_onset", preset="smoke", workers=1)
with style.context():
    figure = percolation_onset.figure_13(result)

# %%
# .. autofunction:: hyperfactor.figures.percolation_onset.figure_13
#    :no-index:
#
# The numbers behind it:

result.tables["simulated"]

# %%
# The method and the results of three seeds are in :doc:`/experiments`.
