"""
Figure 5: pictures needed against the size
==========================================

How many pictures does a model need, and how does this number grow with the size N of the picture? The smoke preset
has only the first and the last size and does not search, so panel (c) has no points.
"""

from hyperfactor import reproduce
from hyperfactor.figures import data_efficiency, style

result = reproduce("data_efficiency", preset="smoke", workers=1)
with style.context():
    figure = data_efficiency.figure_5(result)

# %%
# .. autofunction:: hyperfactor.figures.data_efficiency.figure_5
#    :no-index:
#
# The numbers behind it:

result.tables["accuracy"]

# %%
# The method and the results of three seeds are in :doc:`/experiments`.
