"""
Emergence: layer by layer
=========================

Every layer, over training and over a drawing.
"""

from hyperfactor import reproduce
from hyperfactor.figures import emergence, style

result = reproduce("emergence", preset="smoke", workers=1)
with style.context():
    figure = emergence.figure_emergence(result)

# %%
# .. autofunction:: hyperfactor.figures.emergence.figure_emergence
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/emergence`.
