"""
Figure 9: the canvas and its window
===================================

A stripe whose centre lies outside the window is not drawn. So the same family has pictures of two stripes, of one,
and of none.
"""

from hyperfactor import reproduce
from hyperfactor.figures import composition, style

result = reproduce("composition", preset="smoke", workers=1)
with style.context():
    figure = composition.figure_9(result)

# %%
# .. autofunction:: hyperfactor.figures.composition.figure_9
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/composition`.
