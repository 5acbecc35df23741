"""
The layout of any representation
================================

``study`` takes every measure that an array allows, and one figure shows them. Here the array is an ideal code, so the
figure shows what each panel looks like when two periodic factors are kept apart.
"""

from hyperfactor import study
from hyperfactor.figures import layout, style
from hyperfactor.measures.geometry import hyper_factorized_torus

found = study(hyper_factorized_torus(12, width=1.5), landmarks=100).layers["values"]
with style.context():
    figure = layout.figure(found, "Gaussian tuning curves, 12 x 12 values")

# %%
# .. autofunction:: hyperfactor.figures.layout.figure
#    :no-index:
#
# On the command line, ``hyperfactor analyse ARRAY.npy --figure found.svg`` draws it. :doc:`/study` shows how to study
# a model or an array of your own.
