"""What a generator is: a network, the loss that trains it, and a way of drawing that can be looked into."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperfactor.errors import DivergedError, RequestError
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.strict import Open

Shape = tuple[int, int, int]  # of a picture: channels, rows, columns


class Generator(nn.Module):
    """Draws pictures for conditions.

    Attributes
    ----------
    network : Module
        Its named modules are the layers.
    default_layer : str
        The layer that is looked at where none is asked for.
    timesteps : int
        A drawing can be visited at the timesteps 0 .. timesteps - 1; 0 is the finished picture.
    calls : int
        Calls of the network for one drawing.
    """

    network: nn.Module
    default_layer: str
    timesteps: int = 1
    calls: int = 1

    def loss(
        self, images: Float[Tensor, "b c h w"], condition: Float[Tensor, "b d"], generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """What training makes small.

        Parameters
        ----------
        images : Tensor
            The true pictures, in [0, 1].
        condition : Tensor
            One condition a picture.
        generator : torch.Generator
            All randomness of the loss comes from it.
        """
        raise NotImplementedError

    def visit(
        self,
        condition: Float[Tensor, "b d"],
        streams: Sequence[torch.Generator],
        timesteps: Sequence[int] = (0,),
        pictures: Float[Tensor, "b c h w"] | None = None,
    ) -> Iterator[tuple[int, Float[Tensor, "b c h w"]]]:
        """Draw, and stop at each timestep asked for.

        At a stop the last call of the network was that on the state there, so hooks on its layers have seen it. One
        drawing serves all timesteps, each of which is what a visit of it alone would be.

        Parameters
        ----------
        condition : Tensor
            One condition a picture.
        streams : sequence of torch.Generator
            All noise of picture i comes from streams[i].
        timesteps : sequence of int
            Where to stop; 0 is the finished picture.
        pictures : Tensor, optional
            In [0, 1]. Stop at these, noised to each timestep, in place of the generator's own drawings.

        Yields
        ------
        The timestep and the state there, falling from noise to picture. States have the brightness of pictures; the
        finished picture lies in [0, 1].

        Raises
        ------
        DivergedError
            Where a state is not finite.
        RequestError
            For pictures, where the generator looks at none.
        """
        raise NotImplementedError

    def sample(self, condition: Float[Tensor, "b d"], streams: Sequence[torch.Generator]) -> Float[Tensor, "b c h w"]:
        """One picture in [0, 1] for each condition; arguments and errors as for `visit`."""
        ((_, pictures),) = self.visit(condition, streams)
        return pictures

    def inputs(self, condition: Float[Tensor, "b d"]) -> tuple[Tensor, ...]:
        """Arguments of a call of the network, of the right shapes; their values mean nothing."""
        return (condition,)

    def drawing_by(self, sampling: SamplingSpec) -> Self:
        """This generator with another sampler.

        Raises
        ------
        RequestError
            Where it has no sampler, or this one cannot be used.
        """
        raise RequestError(f"sampling: got {sampling.sampler}, needs none: {type(self).__name__} has no sampler")


class ModelSpec(Open):
    """Which generator a run trains. Its `kind` chooses it; a subclass with a kind of its own works in specs."""

    usual: ClassVar[str | None] = "unet"

    def check(self, shape: Shape, diffusion: DiffusionSpec, sampling: SamplingSpec) -> None:
        """RequestError where `build` could not build this.

        Raises it for settings of diffusion and sampling too, unless a kind that obeys them says otherwise.
        """
        kind = getattr(self, self.tag)
        for name, given in (("diffusion", diffusion), ("sampling", sampling)):
            if given != type(given)():
                raise RequestError(f"{name}: got settings, needs none: a model of kind {kind!r} does not obey them")

    def build(
        self, shape: Shape, condition: int, *, background: float, diffusion: DiffusionSpec, sampling: SamplingSpec
    ) -> Generator:
        """The untrained generator.

        Parameters
        ----------
        shape : tuple of int
            Channels, rows and columns of the pictures.
        condition : int
            Length of the condition vector.
        background : float
            The brightness, in [0, 1], where nothing is drawn.
        diffusion, sampling : DiffusionSpec, SamplingSpec
            The sections of the spec, for a generator that obeys them.
        """
        raise NotImplementedError

    def effort(self) -> float:
        """Roughly proportional to the operations a pixel, by which a sweep orders its runs."""
        return 1.0


def emphasis(images: Float[Tensor, "b c h w"], background: float, signal_weight: float) -> Float[Tensor, "b c h w"]:
    """How often the squared error of each pixel counts: more, the farther the true pixel is from the background."""
    return 1 + signal_weight * (images - background).abs()


def finite(pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The pictures, or DivergedError where one is not finite."""
    if not pictures.isfinite().all():
        raise DivergedError("drawing: got a picture that is not finite, needs a model whose pictures are finite")
    return pictures
