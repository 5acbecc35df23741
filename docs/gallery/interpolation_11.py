"""
Figure 11: filling a gap
========================

A vertical strip of the values of x is held out. How wide may it be?
"""

from hyperfactor import reproduce
from hyperfactor.figures import interpolation, style

result = reproduce("interpolation", preset="smoke", workers=1)
with style.context():
    figure = interpolation.figure_11(result)

# %%
# .. autofunction:: hyperfactor.figures.interpolation.figure_11
#    :no-index:
#
# The numbers behind it:

result.tables["accuracy"]

# %%
# The method and the results of three seeds are in :doc:`/experiments`.
