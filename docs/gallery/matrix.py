"""
Verdicts by choice: architectures and recipes
=============================================

The experiments ``architectures`` and ``recipes`` repeat other experiments, with another choice each time. Both draw
this figure. They train hundreds of models, so this page makes a small matrix of its own: composition with two
predictions.
"""

from hyperfactor import reproduce
from hyperfactor.experiments import EXPERIMENTS, register
from hyperfactor.experiments.matrix import Choice, Matrix
from hyperfactor.figures import matrix, style

choices = [Choice("sample"), Choice("epsilon", {"diffusion": {"prediction": "epsilon"}})]
repeated = Matrix("two_predictions", choices, {"composition": EXPERIMENTS["composition"]})
register(repeated.experiment("Does the prediction matter?"))

result = reproduce("two_predictions", preset="smoke", workers=1)
with style.context():
    figure = matrix.figure_architectures(result)

# %%
# .. autofunction:: hyperfactor.figures.matrix.figure_architectures
#    :no-index:
#
# The numbers behind it:

result.tables["matrix"]

# %%
# After six steps no model has learnt its training region, so no claim is measured; the column *reason* says so. The
# choices of the two experiments are in :doc:`/architectures` and :doc:`/recipes`.
