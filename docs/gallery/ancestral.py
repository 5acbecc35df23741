"""
The signature by DDPM and by DDIM
=================================

The same models drawn in 1,000 noisy steps, as in the paper, and in 20 steps without noise between them.
"""

from hyperfactor import reproduce
from hyperfactor.figures import ancestral, style

result = reproduce("ancestral", preset="smoke", workers=1)
with style.context():
    figure = ancestral.figure_ancestral(result)

# %%
# .. autofunction:: hyperfactor.figures.ancestral.figure_ancestral
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/ancestral`.
