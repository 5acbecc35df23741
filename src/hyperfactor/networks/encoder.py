"""A network from a picture and its condition to a vector, which trains beside a decoder.

    conv1 -> conv2 -> conv3 -> features -> vector

At base width w and N pixels a side, the convolutions have step 2 and put out (2w, N/2), (4w, N/4) and (4w, N/8), as
(channels, pixels a side). The features f are 8w numbers of the picture. They are multiplied by 1 + e(c), with e(c) as
many numbers of the condition, before the last layer. With one output this is the projection discriminator of T. Miyato
and M. Koyama (arXiv 1802.05637): a score of the picture, plus a scalar product of f and an embedding of the condition.

There is no norm over pixels or samples: the vector of a picture depends on this picture alone, and its gradient in the
picture can be differentiated again.
"""

from jaxtyping import Float
from torch import Tensor, nn

from hyperfactor.networks.unet import check_sides

SLOPE = 0.2  # of the leaky rectifiers below 0


class Encoder(nn.Module):
    """Picture and condition in, vector out.

    Parameters
    ----------
    shape : tuple of int
        Channels, rows and columns of the pictures. Rows and columns are multiples of 8.
    condition : int
        Length of the condition vector.
    length : int
        Length of the vector that is put out.
    width : int
        Base width w.

    Raises
    ------
    RequestError
        For rows or columns that are no multiple of 8.
    """

    def __init__(self, shape: tuple[int, int, int], condition: int, length: int, width: int = 8):
        super().__init__()
        check_sides(shape)
        w, (channels, rows, columns) = width, shape

        def halve(inputs: int, outputs: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE))

        self.conv1, self.conv2, self.conv3 = halve(channels, 2 * w), halve(2 * w, 4 * w), halve(4 * w, 4 * w)
        self.features = nn.Linear(4 * w * rows * columns // 64, 8 * w)
        self.embedding = nn.Sequential(nn.Linear(condition, 8 * w), nn.LeakyReLU(SLOPE), nn.Linear(8 * w, 8 * w))
        self.vector = nn.Linear(8 * w, length)

    def forward(
        self, x: Float[Tensor, "b channels rows columns"], condition: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b length"]:
        features = self.features(self.conv3(self.conv2(self.conv1(x))).flatten(1))
        return self.vector(features * (1 + self.embedding(condition)))
