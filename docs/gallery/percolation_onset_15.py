"""
Figure 15: representations below and above the onset
====================================================

UMAP of the representation. A model that has learnt shows one sheet; a model below the onset shows pieces.
"""

from hyperfactor import reproduce
from hyperfactor.figures import percolation_onset, style

result = reproduce("percolation_onset", preset="smoke", workers=1)
with style.context():
    figure = percolation_onset.figure_15(result)

# %%
# .. autofunction:: hyperfactor.figures.percolation_onset.figure_15
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/experiments`.
