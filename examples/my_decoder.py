"""A decoder of one's own and its study: hyperfactor study examples/my_decoder.py:decoder"""

import numpy as np
import torch
from torch import nn

from hyperfactor import TorchSubject, study
from hyperfactor.factors import Factor, FactorSpace
from hyperfactor.subjects import fitted

SIDE = 8
SPACE = FactorSpace((Factor("x", 0, SIDE, "periodic"), Factor("size", 1, 3, tolerance=0.5)))


def pictures(points: np.ndarray) -> np.ndarray:
    """A soft disc at x, of some size, on a ring of 8 columns: what the decoder learns."""
    column = (np.arange(SIDE) - points[:, :1] + SIDE / 2) % SIDE - SIDE / 2  # (n, column)
    row = np.arange(SIDE) - SIDE / 2
    distance = np.sqrt(column[:, None, :] ** 2 + row[:, None] ** 2)
    return (points[:, 1, None, None] + 0.5 - distance).clip(0, 1)[:, None]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.picture = nn.Linear(64, SIDE * SIDE)

    def forward(self, points: np.ndarray) -> torch.Tensor:
        angle, size = 2 * np.pi * points[:, 0] / SIDE, points[:, 1] - 2
        code = torch.tensor(np.stack([np.cos(angle), np.sin(angle), size], axis=1), dtype=torch.float32)
        return self.picture(self.hidden(code)).reshape(-1, 1, SIDE, SIDE)


def decoder(steps: int = 400) -> TorchSubject:
    """A decoder, trained for a second, with a reading that is learnt from labelled pictures."""
    points = SPACE.lattice({"x": 0.5, "size": 0.25})
    truth = torch.tensor(pictures(points), dtype=torch.float32)
    module = Decoder()
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    for _ in range(steps):
        loss = ((module(points) - truth) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    read = fitted(pictures(points), points, SPACE)
    return TorchSubject(module, SPACE, lambda module, points: module(points), read, {"size": 0.5})


if __name__ == "__main__":
    print(study(decoder(), landmarks=40, max_dim=1).table())
