from . import (
    accuracy as accuracy,
    activations as activations,
    comparison as comparison,
    dimension as dimension,
    embedding as embedding,
    geometry as geometry,
    references as references,
    representation as representation,
    topology as topology,
)
from .representation import Axis as Axis, Representation as Representation
