"""Muon: steps that turn a matrix of weights by equal amounts in all directions."""

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic whose repetition brings singular values near 1 (Jordan, 2024)
REPEATED = 5
RMS = 0.2  # root mean square of a step's entries, relative to the rate: that of AdamW (arXiv 2502.16982)


def is_matrix(weight: Tensor) -> bool:
    """Whether Muon trains a weight: one with several outputs and several inputs, each output's in one piece of memory.

    A kernel of a convolution, (outputs, inputs, rows, columns), is the matrix of its outputs and the rest.
    """
    if weight.ndim < 2:
        return False
    rows, columns = weight.shape[0], math.prod(weight.shape[1:])
    return min(rows, columns) > 1 and weight.stride(0) == columns


def near_orthogonal(gram: Float[Tensor, "k n n"]) -> Float[Tensor, "k n n"]:
    """The matrices Q for which the singular values of Q X are near 1, from the Gram matrices X X^T.

    The odd polynomial a s + b s^3 + c s^5 is applied REPEATED times to the singular values s of X / |X| (Newton and
    Schulz's iteration). Only matrices as large as the Gram matrix are multiplied, because X enters each time as a
    polynomial of X X^T, and these commute.

    Parameters
    ----------
    gram : Tensor, (k, n, n)
        Gram matrices.

    Returns
    -------
    Tensor, (k, n, n)
        Q for each.
    """
    a, b, c = COEFFICIENTS
    size = gram.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None].clamp(min=torch.finfo(gram.dtype).tiny)  # |X|^2
    A = gram / size
    one = a * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    Q: Tensor | None = None
    for _ in range(REPEATED):
        P = torch.baddbmm(one + b * A, A, A, alpha=c)
        Q = P if Q is None else P @ Q
        A = P @ A @ P
    assert Q is not None
    return Q * size.rsqrt()


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov's momentum and decoupled decay, on matrices that share one vector.

    A step is the orthogonal matrix nearest to the gradient's running mean, roughly, times a rate that gives its entries
    the root mean square RMS (Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024; the scale is from
    Liu et al., arXiv 2502.16982). Iterations of matrices with equally many rows, or columns if these are fewer, are
    done together.

    Parameters
    ----------
    whole : Parameter
        The vector, with a gradient.
    shapes : sequence of (int, int)
        Rows and columns of the matrices, in their order in the vector.
    lr : float
        Learning rate.
    weight_decay : float
        Decay of the weights.
    momentum : float
        Decay a step of the gradient's running mean.
    """

    def __init__(
        self, whole: nn.Parameter, shapes: Sequence[tuple[int, int]], lr: float, weight_decay: float, momentum: float
    ):
        super().__init__([whole], {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.shapes = tuple(shapes)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        (group,) = self.param_groups
        (whole,) = group["params"]
        state = self.state[whole]
        if not state:
            state["momentum"] = torch.zeros_like(whole)
        mean = state["momentum"].lerp_(whole.grad, 1 - group["momentum"])
        ahead = whole.grad.lerp(mean, group["momentum"])
        whole.mul_(1 - group["lr"] * group["weight_decay"])
        by_side: dict[int, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for X, W in zip(self._matrices(ahead), self._matrices(whole.data), strict=True):
            by_side[len(X)].append((X, W))
        for pairs in by_side.values():
            for (X, W), Q in zip(pairs, near_orthogonal(torch.stack([X @ X.T for X, _ in pairs])), strict=True):
                W.addmm_(Q, X, alpha=-group["lr"] * RMS * math.sqrt(X.shape[1]))

    def _matrices(self, vector: Tensor) -> list[Tensor]:
        """Views of the vector as matrices with at least as many columns as rows."""
        parts = vector.split([rows * columns for rows, columns in self.shapes])
        views = [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return [view if view.shape[0] <= view.shape[1] else view.T for view in views]
