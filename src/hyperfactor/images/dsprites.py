"""dSprites: white squares, ellipses and hearts of any scale, rotation and place.

    factor    values    of the file
    shape     3         0 square, 1 ellipse, 2 heart
    scale     6         0.5 to 1, in steps of 0.1
    rotation  40        0 to 360 degrees in steps of 360 / 39, so that the last value is the first one again
    x, y      32        0 to 1

References
----------
Matthey, Higgins, Hassabis and Lerchner, "dSprites: disentanglement testing sprites dataset", 2017,
github.com/google-deepmind/dsprites-dataset: `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz`, 26 MB, 3 GB unpacked.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import field_validator

from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.files import Checksum, Count, FromFile

ORDERS = np.array([4, 2, 1])  # number of rotations within 360 degrees that leave each shape unchanged


class DSprites(FromFile):
    """The pictures of dSprites. A drawing is correct within one value of x, y and rotation, and the value of scale."""

    family: Literal["dsprites"] = "dsprites"
    name = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
    pattern = "*dsprites*.npz"
    member = "imgs"
    labels = "latents_classes"
    bright = 1

    md5: Checksum = "7da33b31b13a06f4b04a70402ce90c2e"
    sizes: tuple[Count, Count, Count, Count, Count] = (3, 6, 40, 32, 32)

    @field_validator("sizes")
    @classmethod
    def _known_shapes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if sizes[0] > len(ORDERS):
            raise ValueError(f"got {sizes[0]} shapes, needs at most {len(ORDERS)}, whose symmetries are known")
        return sizes

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, self.size, self.size

    def space(self) -> FactorSpace:
        """The factors shape, scale, rotation, x and y."""
        shapes, scales, rotations, columns, rows = self.sizes
        return FactorSpace(
            (
                Factor("shape", 0, shapes - 1, "categorical"),
                Factor("scale", 0, scales - 1, "open", 0.5),
                Factor("rotation", 0, rotations - 1, "periodic", 1),
                Factor("x", 0, columns - 1, "open", 1),
                Factor("y", 0, rows - 1, "open", 1),
            )
        )

    def difference(
        self, values: Float[np.ndarray, "... 5"], points: Float[np.ndarray, "... 5"]
    ) -> Float[np.ndarray, "... 5"]:
        """Differences of values from points, with rotations compared within the symmetry of the shape asked for."""
        found = super().difference(values, points)
        asked = np.broadcast_to(points[..., 0], found.shape[:-1]).astype(int)
        period = (self.sizes[2] - 1) / ORDERS[asked]
        found[..., 2] = (found[..., 2] + period / 2) % period - period / 2
        return found
