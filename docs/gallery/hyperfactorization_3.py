"""
Figure 3 again, with and without noise
======================================

Noise of the drawings produces the same statistics as the code that the paper describes. Several drawings of each
point separate the two.
"""

from hyperfactor import reproduce
from hyperfactor.figures import hyperfactorization, style

result = reproduce("hyperfactorization", preset="smoke", workers=1)
with style.context():
    figure = hyperfactorization.figure_3(result)

# %%
# .. autofunction:: hyperfactor.figures.hyperfactorization.figure_3
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/hyperfactorization`.
