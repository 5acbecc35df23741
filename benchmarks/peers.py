"""Networks of other packages, which take a picture, a timestep and the code of a condition.

diffusers takes an embedding of the class ("identity"), whose length is that of the embedding of the time: a linear
layer makes it from the code. The plain `Unet` of denoising-diffusion-pytorch has no class: a linear layer of the code
is added to the embedding of the time.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.ratios import MissingError
from hyperfactor.generators.denoiser import Denoiser

SIDE = 32  # of the pictures


class Diffusers(nn.Module):
    """A `UNet2DModel`. `full` is that of the documented training of diffusers; else it has as many weights as ours."""

    def __init__(self, code: int, full: bool = False):
        super().__init__()
        from diffusers import UNet2DModel  # pyright: ignore[reportPrivateImportUsage]

        widths = (128, 128, 256, 256, 512, 512) if full else (16, 24, 32)
        attended = {4} if full else {1, 2}
        names = ["AttnDownBlock2D" if k in attended else "DownBlock2D" for k in range(len(widths))]
        self.unet = UNet2DModel(
            sample_size=SIDE,
            in_channels=1,
            out_channels=1,
            block_out_channels=widths,
            layers_per_block=2,
            down_block_types=tuple(names),
            up_block_types=tuple(name.replace("Down", "Up") for name in reversed(names)),
            norm_num_groups=32 if full else 8,
            class_embed_type="identity",
        )
        self.label = nn.Linear(code, 4 * widths[0])

    def forward(self, x: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
        return self.unet(x, timestep, class_labels=self.label(condition)).sample


class Labelled(nn.Module):
    """The embedding of the time, to which a linear layer of `condition` is added."""

    condition: Tensor

    def __init__(self, time: nn.Module, label: nn.Module):
        super().__init__()
        self.time, self.label = time, label

    def forward(self, timestep: Tensor) -> Tensor:
        return self.time(timestep) + self.label(self.condition)


class Lucidrains(nn.Module):
    """The `Unet` of denoising-diffusion-pytorch. `full` is that of its README; else it has as many weights as ours."""

    def __init__(self, code: int, full: bool = False):
        super().__init__()
        dim, kind = 64 if full else 12, lucidrains().Unet
        self.unet = kind(dim, dim_mults=(1, 2, 4, 8) if full else (1, 2, 4), channels=1, flash_attn=full)
        self.unet.time_mlp = self.embedding = Labelled(self.unet.time_mlp, nn.Linear(code, 4 * dim))
        for name in ("channels", "out_dim", "self_condition", "random_or_learned_sinusoidal_cond"):
            setattr(self, name, getattr(self.unet, name))

    def forward(self, x: Tensor, timestep: Tensor, condition: Tensor | None = None) -> Tensor:
        """The prediction. `GaussianDiffusion` gives no condition: it is set before, as `embedding.condition`."""
        if condition is not None:
            self.embedding.condition = condition
        return self.unet(x, timestep)


class Around(Denoiser):
    """A denoiser of ours around a network of a peer, so that only the network differs."""

    def forward(self, x: Tensor, timestep: Tensor | int, condition: Tensor) -> Tensor:
        if isinstance(timestep, int):
            timestep = torch.full((len(x),), timestep)
        return self.network(x, timestep, condition)


def lucidrains() -> Any:
    """The module of denoising-diffusion-pytorch. Raises `MissingError` if it is not installed."""
    try:
        import diffusers  # noqa: F401  it looks for torchvision when it is imported

        with _torchvision():
            import denoising_diffusion_pytorch.denoising_diffusion_pytorch as found  # pyright: ignore
    except ImportError as error:
        raise MissingError(f"denoising-diffusion-pytorch ({error})") from None
    return found


@contextmanager
def _torchvision() -> Iterator[None]:
    """An empty torchvision, which the package imports for reading and writing files of pictures.

    A torchvision that was built for another torch cannot be imported, and then breaks diffusers as well.
    """
    empty = {name: ModuleType(name) for name in ("torchvision", "torchvision.transforms", "torchvision.utils")}
    vars(empty["torchvision"]).update(transforms=empty["torchvision.transforms"], utils=empty["torchvision.utils"])
    before = {name: sys.modules[name] for name in empty if name in sys.modules}
    sys.modules.update(empty)
    try:
        yield
    finally:
        for name in empty:
            del sys.modules[name]
        sys.modules.update(before)
