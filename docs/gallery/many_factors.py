"""
Many factors
============

The number of pictures needed, held-out requests, and geometry, for two to five factors.
"""

from hyperfactor import reproduce
from hyperfactor.figures import many_factors, style

result = reproduce("many_factors", preset="smoke", workers=1)
with style.context():
    figure = many_factors.figure_many_factors(result)

# %%
# .. autofunction:: hyperfactor.figures.many_factors.figure_many_factors
#    :no-index:
#
# The method and the results of three seeds are in :doc:`/many_factors`.
