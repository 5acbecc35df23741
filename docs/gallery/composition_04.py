"""
Figure 4 (a-f): which pairs does a model compose?
=================================================

Three models are asked for every pair of stripes in the window. They differ only in the pictures that they were
trained on.
"""

from hyperfactor import reproduce
from hyperfactor.figures import composition, style

result = reproduce("composition", preset="smoke", workers=1)
with style.context():
    figure = composition.figure_4(result)

# %%
# .. autofunction:: hyperfactor.figures.composition.figure_4
#    :no-index:
#
# The numbers behind it:

result.tables["accuracy"]

# %%
# The method and the results of three seeds are in :doc:`/composition`.
