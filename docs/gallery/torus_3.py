"""
Figure 3: orthogonality and parallelism
=======================================

The statistics by which the paper calls a representation hyper-factorized.
"""

from hyperfactor import reproduce
from hyperfactor.figures import style, torus

result = reproduce("torus", preset="smoke", workers=1)
with style.context():
    figure = torus.figure_3(result)

# %%
# .. autofunction:: hyperfactor.figures.torus.figure_3
#    :no-index:
#
# The numbers behind it:

result.tables["geometry"]

# %%
# The method and the results of three seeds are in :doc:`/torus`.
