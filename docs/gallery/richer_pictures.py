"""
Richer pictures
===============

Held-out digits and coloured shapes as they are drawn, how many are right, and what the factors explain.
"""

from hyperfactor import reproduce
from hyperfactor.figures import richer_pictures, style

result = reproduce("richer_pictures", preset="smoke", workers=1)
with style.context():
    figure = richer_pictures.figure_richer_pictures(result)

# %%
# .. autofunction:: hyperfactor.figures.richer_pictures.figure_richer_pictures
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/richer_pictures`.
