"""
Figure 2: does a model learn a torus?
=====================================

A model of one bump on a periodic canvas, before, during and after training.
"""

from hyperfactor import reproduce
from hyperfactor.figures import style, torus

result = reproduce("torus", preset="smoke", workers=1)
with style.context():
    figure = torus.figure_2(result)

# %%
# .. autofunction:: hyperfactor.figures.torus.figure_2
#    :no-index:
#
# The numbers behind it:

result.tables["training"]

# %%
# The method and the results of three seeds are in :doc:`/torus`.
