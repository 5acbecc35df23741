"""Percolation: at which density do overlapping things form a connected whole? No model is involved."""

from hyperfactor.percolation.boolean import FillingCurve, boolean_model, critical_filling
from hyperfactor.percolation.graph import giant_component, graph_percolation, overlap_graph
from hyperfactor.percolation.lattice import (
    Estimate,
    PercolationCurve,
    critical_fraction,
    neighbours,
    site_percolation,
)
from hyperfactor.percolation.overlap import discrete_overlap, overlap, reach

__all__ = [
    "Estimate",
    "FillingCurve",
    "PercolationCurve",
    "boolean_model",
    "critical_filling",
    "critical_fraction",
    "discrete_overlap",
    "giant_component",
    "graph_percolation",
    "neighbours",
    "overlap",
    "overlap_graph",
    "reach",
    "site_percolation",
]
