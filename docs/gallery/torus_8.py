"""
Figure 8: steps within a factor, and distances
==============================================

How far is the model from each ideal shape?
"""

from hyperfactor import reproduce
from hyperfactor.figures import style, torus

result = reproduce("torus", preset="smoke", workers=1)
with style.context():
    figure = torus.figure_8(result)

# %%
# .. autofunction:: hyperfactor.figures.torus.figure_8
#    :no-index:
#
# The numbers behind it:

result.tables["geometry"]

# %%
# The method and the results of three seeds are in :doc:`/torus`.
