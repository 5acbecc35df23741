"""Shapes3D: a coloured object on a floor in front of a wall, seen from an angle.

    factor       values    of the file
    floor        10        hue of the floor, 0 to 0.9 of the circle of hues
    wall         10        hue of the wall
    object       10        hue of the object
    scale        8         0.75 to 1.25
    shape        4         0 cube, 1 cylinder, 2 sphere, 3 capsule
    orientation  15        -30 to 30 degrees

References
----------
Burgess and Kim, "3D Shapes Dataset", 2018, github.com/google-deepmind/3d-shapes: `3dshapes.h5`, 268 MB, 5.9 GB
unpacked.
"""

from typing import Literal

from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.files import Checksum, Count, FromFile


class Shapes3D(FromFile):
    """The pictures of Shapes3D. A drawing is correct within one value of orientation, and the value of all others."""

    family: Literal["shapes3d"] = "shapes3d"
    name = "3dshapes.h5"
    pattern = "*3dshapes*.h5"
    member = "images"
    labels = "labels"

    md5: Checksum = "099a2078d58cec4daad0702c55d06868"
    sizes: tuple[Count, Count, Count, Count, Count, Count] = (10, 10, 10, 8, 4, 15)

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, self.size, self.size

    def space(self) -> FactorSpace:
        """The factors floor, wall, object, scale, shape and orientation."""
        *hues, scales, shapes, orientations = self.sizes
        coloured = zip(("floor", "wall", "object"), hues, strict=True)
        return FactorSpace(
            (
                *(Factor(name, 0, count, "periodic", 0.5) for name, count in coloured),
                Factor("scale", 0, scales - 1, "open", 0.5),
                Factor("shape", 0, shapes - 1, "categorical"),
                Factor("orientation", 0, orientations - 1, "open", 1),
            )
        )
