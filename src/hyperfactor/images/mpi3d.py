"""MPI3D: an object at the tip of a robot's arm, photographed or rendered.

    factor       values    of the file
    colour       6         white, green, red, blue, brown, olive
    shape        6         cone, cube, cylinder, hexagonal, pyramid, sphere
    size         2         small, large
    height       3         of the camera: top, centre, bottom
    background   3         purple, sea green, salmon
    horizontal   40        angle of the arm about the vertical axis
    vertical     40        angle of the arm about the horizontal axis

References
----------
Gondal et al., "On the Transfer of Inductive Bias from Simulation to the Real World: a New Disentanglement Dataset",
NeurIPS 2019, arXiv 1906.03292, github.com/rr-learning/disentanglement_dataset: `mpi3d_real.npz`, 12.7 GB unpacked.
"""

from typing import Literal

from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.files import Checksum, Count, FromFile


class Mpi3d(FromFile):
    """The pictures of MPI3D. A drawing is correct within one value of the two angles, and the value of all others.

    The default is the file of real photographs. The file has no labels, so the order of its pictures is not checked.
    """

    family: Literal["mpi3d"] = "mpi3d"
    name = "mpi3d_real.npz"
    pattern = "*mpi3d*.npz"
    member = "images"

    md5: Checksum = "0f33f609918fb5c97996692f91129802"
    sizes: tuple[Count, Count, Count, Count, Count, Count, Count] = (6, 6, 2, 3, 3, 40, 40)

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, self.size, self.size

    def space(self) -> FactorSpace:
        """The factors colour, shape, size, height, background, horizontal and vertical."""
        colours, shapes, sizes, heights, backgrounds, across, along = self.sizes
        return FactorSpace(
            (
                Factor("colour", 0, colours - 1, "categorical"),
                Factor("shape", 0, shapes - 1, "categorical"),
                Factor("size", 0, sizes - 1, "open", 0.5),
                Factor("height", 0, heights - 1, "open", 0.5),
                Factor("background", 0, backgrounds - 1, "categorical"),
                Factor("horizontal", 0, across - 1, "open", 1),
                Factor("vertical", 0, along - 1, "open", 1),
            )
        )
