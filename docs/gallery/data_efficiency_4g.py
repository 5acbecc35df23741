"""
Figure 4 (g): fewer pictures
============================

Accuracy of a model that was trained on a random part of all bumps and stripes.
"""

from hyperfactor import reproduce
from hyperfactor.figures import data_efficiency, style

result = reproduce("data_efficiency", preset="smoke", workers=1)
with style.context():
    figure = data_efficiency.figure_4g(result)

# %%
# .. autofunction:: hyperfactor.figures.data_efficiency.figure_4g
#    :no-index:
#
# The numbers behind it:

result.tables["accuracy"]

# %%
# The method and the results of three seeds are in :doc:`/experiments`.
