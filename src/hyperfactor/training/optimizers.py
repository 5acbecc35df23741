"""Optimizers of weights that share one vector: AdamW, and Muon for matrices.

A step of AdamW is torch's function. torch's classes are not used: the first object of one imports torch's compiler,
which takes two seconds and more in each process that trains, and nothing here is compiled.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.adamw import adamw

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


class Optimizer(ABC):
    """An optimizer of the weights in one vector.

    Attributes
    ----------
    weights : Parameter
        The vector, with a gradient.
    rate : float
        Largest learning rate.
    weight_decay : float
        Decoupled decay of the weights.
    moments : dict of str to Tensor
        What it remembers of earlier steps.
    """

    def __init__(self, weights: nn.Parameter, rate: float, weight_decay: float):
        self.weights, self.rate, self.weight_decay = weights, rate, weight_decay
        self.moments: dict[str, Tensor] = {}

    @property
    def gradient(self) -> Tensor:
        """The gradient of the loss in the vector."""
        assert self.weights.grad is not None
        return self.weights.grad

    @abstractmethod
    def step(self, rate: float) -> None:
        """Change the weights by their gradient, at a learning rate."""


class AdamW(Optimizer):
    """Adam with decoupled decay (Loshchilov and Hutter, arXiv 1711.05101).

    Parameters
    ----------
    weights : Parameter
        The vector, with a gradient.
    rate : float
        Largest learning rate.
    weight_decay : float
        Decay of the weights.
    betas : (float, float)
        Decay a step of the running means of the gradient and of its square.
    """

    EPSILON = 1e-8

    def __init__(self, weights: nn.Parameter, rate: float, weight_decay: float, betas: tuple[float, float]):
        super().__init__(weights, rate, weight_decay)
        self.betas = betas
        self.moments = {
            "exp_avg": torch.zeros_like(weights),
            "exp_avg_sq": torch.zeros_like(weights),
            "step": torch.zeros((), dtype=torch.float32, device=weights.device),
        }

    @torch.no_grad()
    def step(self, rate: float) -> None:
        mean, square, steps = (self.moments[name] for name in ("exp_avg", "exp_avg_sq", "step"))
        adamw(
            [self.weights], [self.gradient], [mean], [square], [], [steps], fused=True, amsgrad=False,
            beta1=self.betas[0], beta2=self.betas[1], lr=rate, weight_decay=self.weight_decay, eps=self.EPSILON,
            maximize=False,
        )  # fmt: skip


class Muon(Optimizer):
    """Muon with Nesterov's momentum and decoupled decay, on matrices that share one vector.

    A step is the orthogonal matrix nearest to the gradient's running mean, roughly, times a rate that gives its entries
    the root mean square RMS (Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024; the scale is from
    Liu et al., arXiv 2502.16982). Iterations of matrices with equally many rows, or columns if these are fewer, are
    done together.

    Parameters
    ----------
    weights : Parameter
        The vector, with a gradient.
    shapes : sequence of (int, int)
        Rows and columns of the matrices, in their order in the vector.
    rate : float
        Largest learning rate.
    weight_decay : float
        Decay of the weights.
    momentum : float
        Decay a step of the gradient's running mean.
    """

    def __init__(
        self,
        weights: nn.Parameter,
        shapes: Sequence[tuple[int, int]],
        rate: float,
        weight_decay: float,
        momentum: float,
    ):
        super().__init__(weights, rate, weight_decay)
        self.shapes, self.momentum = tuple(shapes), momentum
        self.moments = {"momentum": torch.zeros_like(weights)}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        mean = self.moments["momentum"].lerp_(self.gradient, 1 - self.momentum)
        ahead = self.gradient.lerp(mean, self.momentum)
        self.weights.mul_(1 - rate * self.weight_decay)
        by_side: dict[int, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for X, W in zip(self._matrices(ahead), self._matrices(self.weights.data), strict=True):
            by_side[len(X)].append((X, W))
        for pairs in by_side.values():
            for (X, W), Q in zip(pairs, near_orthogonal(torch.stack([X @ X.T for X, _ in pairs])), strict=True):
                W.addmm_(Q, X, alpha=-rate * RMS * math.sqrt(X.shape[1]))

    def _matrices(self, vector: Tensor) -> list[Tensor]:
        """Views of the vector as matrices with at least as many columns as rows."""
        parts = vector.split([rows * columns for rows, columns in self.shapes])
        views = [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return [view if view.shape[0] <= view.shape[1] else view.T for view in views]
