"""
Figure 14: clusters and losses
==============================

The loss on trained and on other points, beside the clusters that the trained points form.
"""

from hyperfactor import reproduce
from hyperfactor.figures import percolation_onset, style

result = reproduce("percolation_onset", preset="smoke", workers=1)
with style.context():
    figure = percolation_onset.figure_14(result)

# %%
# .. autofunction:: hyperfactor.figures.percolation_onset.figure_14
#    :no-index:
#
# The numbers behind it:

result.tables["accuracy"]

# %%
# The method and the results of three seeds are in :doc:`/experiments`.
