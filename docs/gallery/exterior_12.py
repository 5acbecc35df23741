"""
Figure 12: inside the seen pairs, and at a corner
=================================================

A square of pairs is held out in the middle of the window, or at a corner of it.
"""

from hyperfactor import reproduce
from hyperfactor.figures import exterior, style

result = reproduce("exterior", preset="smoke", workers=1)
with style.context():
    figure = exterior.figure_12(result)

# %%
# .. autofunction:: hyperfactor.figures.exterior.figure_12
#    :no-index:
#
# The numbers behind it:

result.tables["accuracy"]

# %%
# The method and the results of three seeds are in :doc:`/experiments`.
