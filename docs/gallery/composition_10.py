"""
Figure 10: stripes alone, and with a rim of pairs
=================================================

A model of single stripes is asked for pairs. A second model has also seen pairs in the outer two pixels of the
window.
"""

from hyperfactor import reproduce
from hyperfactor.figures import composition, style

result = reproduce("composition", preset="smoke", workers=1)
with style.context():
    figure = composition.figure_10(result)

# %%
# .. autofunction:: hyperfactor.figures.composition.figure_10
#    :no-index:
#
# The numbers behind it:

result.tables["accuracy"]

# %%
# The method and the results of three seeds are in :doc:`/composition`.
