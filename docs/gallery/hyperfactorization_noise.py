"""
Code or noise?
==============

The signature of the paper against the share of the variance that is noise.
"""

from hyperfactor import reproduce
from hyperfactor.figures import hyperfactorization, style

result = reproduce("hyperfactorization", preset="smoke", workers=1)
with style.context():
    figure = hyperfactorization.figure_noise(result)

# %%
# .. autofunction:: hyperfactor.figures.hyperfactorization.figure_noise
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/hyperfactorization`.
