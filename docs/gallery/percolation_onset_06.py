"""
Figure 6: the onset of learning and percolation
===============================================

Bumps that overlap form clusters. Does learning set in where the clusters join?
"""

from hyperfactor import reproduce
from hyperfactor.figures import percolation_onset, style

result = reproduce("percolation_onset", preset="smoke", workers=1)
with style.context():
    figure = percolation_onset.figure_6(result)

# %%
# .. autofunction:: hyperfactor.figures.percolation_onset.figure_6
#    :no-index:
#
# The numbers behind it:

result.tables["simulated"]

# %%
# The method and the results of three seeds are in :doc:`/experiments`.
