"""
Figure 1: the pictures
======================

A bump has one place in the plane, which needs both factors. A sum of stripes adds one picture for x and one for y.
"""

from hyperfactor import reproduce
from hyperfactor.figures import composition, style

result = reproduce("composition", preset="smoke", workers=1)
with style.context():
    figure = composition.figure_1(result)

# %%
# .. autofunction:: hyperfactor.figures.composition.figure_1
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/composition`.
