"""
Percolation of every family
===========================

The onset of learning against percolation, for bumps, sums of stripes and a digit.
"""

from hyperfactor import reproduce
from hyperfactor.figures import percolation_families, style

result = reproduce("percolation_families", preset="smoke", workers=1)
with style.context():
    figure = percolation_families.figure_percolation_families(result)

# %%
# .. autofunction:: hyperfactor.figures.percolation_families.figure_percolation_families
#    :no-index:
#
# The method is in :doc:`/percolation_families`.
