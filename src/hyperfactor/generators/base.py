"""A generator is a network with the loss that trains it and a way of drawing that can be inspected."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperfactor.errors import DivergedError, RequestError
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.strict import Open

Shape = tuple[int, int, int]  # channels, rows and columns of a picture
WIDEST = 2**16  # largest width of a network


class Generator(nn.Module):
    """A module that draws pictures for conditions.

    A subclass gives `network`, `default_layer`, `loss` and `visit`.

    Attributes
    ----------
    network : Module
        The network. Its named modules are the layers.
    default_layer : str
        The layer that is read if no other is named.
    timesteps : int
        Number of timesteps at which a drawing can be visited. Timestep 0 is the finished picture.
    calls : int
        Number of calls of the network for one drawing.
    capturable : bool
        Whether `loss` may be recorded as a CUDA graph: it does the same operations at each call, and reads no value of
        a tensor on the CPU. Training on a GPU is then faster.
    """

    network: nn.Module
    default_layer: str
    timesteps: int = 1
    calls: int = 1
    capturable: bool = False

    def loss(
        self, images: Float[Tensor, "b c h w"], condition: Float[Tensor, "b d"], generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """The loss that training minimises.

        Parameters
        ----------
        images : Tensor, (b, c, h, w)
            True pictures, in [0, 1].
        condition : Tensor, (b, d)
            The condition of each picture.
        generator : torch.Generator
            Source of all random numbers of the loss, which it makes on its own device (`device=generator.device`). In
            training this is the device of the pictures.

        Returns
        -------
        Tensor, ()
            The loss, differentiable in the weights.
        """
        raise NotImplementedError

    def visit(
        self,
        condition: Float[Tensor, "b d"],
        streams: Sequence[torch.Generator],
        timesteps: Sequence[int] = (0,),
        pictures: Float[Tensor, "b c h w"] | None = None,
    ) -> Iterator[tuple[int, Float[Tensor, "b c h w"]]]:
        """Draw pictures, and stop at each requested timestep.

        At a stop, the last call of the network was the call on the current state, so hooks on layers have seen it. One
        drawing serves all timesteps: each stop is the same as in a visit of that timestep alone.

        Parameters
        ----------
        condition : Tensor, (b, d)
            The condition of each picture.
        streams : sequence of torch.Generator
            All noise of picture i comes from streams[i], a generator on the CPU (see `noise.Noise`).
        timesteps : sequence of int
            Where to stop; 0 is the finished picture.
        pictures : Tensor, (b, c, h, w), optional
            Pictures in [0, 1]. The visit then stops at these pictures, noised to each timestep, and draws none.

        Yields
        ------
        int, Tensor of shape (b, c, h, w)
            A timestep and the state there, from noise to picture. States have the brightness of pictures. The finished
            picture is in [0, 1].

        Raises
        ------
        DivergedError
            If a state is not finite.
        RequestError
            If pictures are given and this generator takes none.
        """
        raise NotImplementedError

    def sample(self, condition: Float[Tensor, "b d"], streams: Sequence[torch.Generator]) -> Float[Tensor, "b c h w"]:
        """One picture in [0, 1] for each condition. Parameters and errors are those of `visit`."""
        ((_, pictures),) = self.visit(condition, streams)
        return pictures

    def inputs(self, condition: Float[Tensor, "b d"]) -> tuple[Tensor, ...]:
        """Arguments for a call of the network. Only their shapes are meaningful.

        Parameters
        ----------
        condition : Tensor, (b, d)
            Conditions, of any values.

        Returns
        -------
        tuple of Tensor
            The arguments.
        """
        return (condition,)

    def drawing_by(self, sampling: SamplingSpec) -> Self:
        """This generator with another sampler.

        Parameters
        ----------
        sampling : SamplingSpec
            The sampler and its number of steps.

        Returns
        -------
        Generator
            It shares the network of this one.

        Raises
        ------
        RequestError
            If this generator has no sampler, or the sampler cannot be used with it.
        """
        raise RequestError(f"sampling: got {sampling.sampler}, needs none: {type(self).__name__} has no sampler")


class ModelSpec(Open):
    """The section of a spec that chooses a generator by `kind`.

    A subclass with a kind of its own works in specs. It gives `build`, and may override `check` and `effort`.
    """

    usual: ClassVar[str | None] = "unet"

    def check(self, shape: Shape, diffusion: DiffusionSpec, sampling: SamplingSpec) -> None:
        """Refuse settings from which `build` cannot make a generator.

        By default, all settings of diffusion and sampling are refused. A kind that obeys them overrides this.

        Parameters
        ----------
        shape : tuple of int
            Channels, rows and columns of the pictures.
        diffusion : DiffusionSpec
            The diffusion section of the spec.
        sampling : SamplingSpec
            The sampling section of the spec.

        Raises
        ------
        RequestError
            If a setting is refused.
        """
        kind = getattr(self, self.tag)
        for name, given in (("diffusion", diffusion), ("sampling", sampling)):
            if given != type(given)():
                raise RequestError(f"{name}: got settings, needs none: a model of kind {kind!r} does not obey them")

    def build(
        self, shape: Shape, condition: int, *, background: float, diffusion: DiffusionSpec, sampling: SamplingSpec
    ) -> Generator:
        """Build the untrained generator.

        Parameters
        ----------
        shape : tuple of int
            Channels, rows and columns of the pictures.
        condition : int
            Length of a condition vector.
        background : float
            Brightness where nothing is drawn, in [0, 1].
        diffusion : DiffusionSpec
            The diffusion section of the spec, for a generator that obeys it.
        sampling : SamplingSpec
            The sampling section of the spec, for a generator that obeys it.

        Returns
        -------
        Generator
            With random weights.
        """
        raise NotImplementedError

    def effort(self) -> float:
        """A number roughly proportional to the operations a pixel. A sweep orders its runs by it."""
        return 1.0


def emphasis(images: Float[Tensor, "b c h w"], background: float, signal_weight: float) -> Float[Tensor, "b c h w"]:
    """The weight of each pixel in a squared error: larger where the true pixel is farther from the background.

    Parameters
    ----------
    images : Tensor, (b, c, h, w)
        True pictures, in [0, 1].
    background : float
        Brightness where nothing is drawn, in [0, 1].
    signal_weight : float
        Additional weight of a pixel whose distance from the background is 1.

    Returns
    -------
    Tensor, (b, c, h, w)
        1 + signal_weight |images - background|.
    """
    return 1 + signal_weight * (images - background).abs()


def finite(pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The given pictures. Raises `DivergedError` if one of them is not finite."""
    if not pictures.isfinite().all():
        raise DivergedError("drawing: got a picture that is not finite, needs a model whose pictures are finite")
    return pictures
