"""Families whose pictures are in a file of the user's: one picture for each point of a lattice.

A spec names the content of the file, by its MD5 checksum, and never its place. The variable HYPERFACTOR_DATA is the
folder that has the file. At first use its pictures are unpacked to `MD5.npy` in the same folder, from where every
process maps into memory those that it needs. The user's file may then be deleted.

The value of a factor is the number of the value in the file: 0, 1, 2, .... There are no pictures in between.
"""

import hashlib
import math
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8
from pydantic import AfterValidator, Field

from hyperfactor.errors import RequestError, quoted, told
from hyperfactor.images.family import Family, Reading, unit
from hyperfactor.store.disk import discard, rename, temporary_beside
from hyperfactor.store.named import named_path
from hyperfactor.strict import Integer

FOLDER = "HYPERFACTOR_DATA"
SIDE = 8  # rows and columns of a thumbnail
CHOSEN = 64  # pictures that are compared pixel by pixel with one that is read
AT_ONCE = 2**22  # numbers that are computed at a time


def _checksum(text: str) -> str:
    if len(text) != 32 or set(text) - set("0123456789abcdef"):
        raise ValueError(f"got {quoted(text)}, needs the 32 hexadecimal digits that `md5sum FILE` prints")
    return text


Checksum = Annotated[str, AfterValidator(_checksum)]
Count = Annotated[Integer, Field(ge=2)]  # of the values of a factor


class FromFile(Family):
    """Pictures of a file, ordered like a lattice: the last factor varies fastest.

    A subclass gives `shape`, `space`, `name`, `pattern` and `member`, and defaults of the fields.

    Attributes
    ----------
    name : str
        Name under which the file is published.
    pattern : str
        Pattern of the names under which it is looked for; they end in .npz or .h5.
    member : str
        Name of the array of pictures in the file, (n, h, w) or (n, h, w, c), uint8.
    labels : str or None
        Name of an array with the values of the factors in its last columns, to check the order of the pictures.
    bright : int
        The number in the file that stands for 1.
    md5 : str
        MD5 checksum of the file.
    size : int
        Rows and columns of a picture, in pixels; a multiple of 8.
    sizes : tuple of int
        Number of values of each factor, in the order of the file.
    """

    name: ClassVar[str]
    pattern: ClassVar[str]
    member: ClassVar[str]
    labels: ClassVar[str | None] = None
    bright: ClassVar[int] = 255

    md5: Checksum
    size: Integer = Field(default=64, ge=8, multiple_of=8)
    sizes: tuple[Count, ...]

    def pictures(self) -> UInt8[np.ndarray, "n h w c"]:
        """All pictures, mapped into memory.

        Raises
        ------
        RequestError
            If HYPERFACTOR_DATA names no folder with this file, or the file does not have pictures of this number and
            size, in this order.
        """
        found = np.load(_made(f"{self.md5}.npy", lambda target: _unpack(self, _source(self), target)), mmap_mode="r")
        channels, rows, columns = self.shape
        found = found[..., None] if found.ndim == 3 else found
        needed = (int(np.prod(self.sizes)), rows, columns, channels)
        if found.shape != needed or found.dtype != np.uint8:
            raise RequestError(
                f"{self.md5}.npy: got {found.dtype} of shape {found.shape}, needs uint8 of shape {needed}, of sizes "
                f"{self.sizes}"
            )
        return found

    def check(self, points: Float[np.ndarray, "n k"]) -> None:
        """Raise `RequestError` if a point has values that are no whole numbers."""
        if (bad := np.abs(points - np.round(points)) > 1e-6).any():
            row, k = np.argwhere(bad)[0]
            raise RequestError(
                f"factors row {row}, {self.space().names[k]}: got {points[row, k]:.12g}, needs a whole number; the "
                "file has no pictures in between"
            )

    def render(self, points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n c h w"]:
        """The pictures at points, which must be whole numbers. Raises `RequestError` if one is not."""
        self.check(points)
        index = np.ravel_multi_index(tuple(self._turned(np.round(points)).astype(np.intp).T), self.sizes)
        return self.pictures()[index].transpose(0, 3, 1, 2) / self.bright

    def read(self, images: Float[np.ndarray, "n c h w"]) -> Reading:
        """Find the picture of the file that correlates most with each picture.

        Thumbnails, which are means over blocks, tell the 64 pictures of the file that are then compared pixel by pixel.
        A true picture is always found. The thumbnails of all pictures are made at the first reading and kept in
        `MD5.thumbnails.npy`, 256 bytes a picture and channel. Reading n pictures takes 64 n multiplications for each
        picture and channel of the file: for 1,000 pictures of dSprites about 7 s of one core.

        Parameters
        ----------
        images : (n, c, h, w)
            Pictures.

        Returns
        -------
        Reading
            Numbers of values, and correlations. A uniform picture shows no factor (NaN).
        """
        pictures = self.pictures()
        kept = _made(f"{self.md5}.thumbnails.npy", lambda target: _write_thumbnails(pictures, target))
        given = images.transpose(0, 2, 3, 1)
        best, fit = np.zeros(len(given), dtype=np.intp), np.zeros(len(given))
        for i, some in enumerate(_alike(_thumbnails(given), np.load(kept, mmap_mode="r"))):
            rows = unit(pictures[some].reshape(len(some), -1).astype(float))
            match = rows @ unit(given[i].reshape(1, -1))[0]
            best[i], fit[i] = some[match.argmax()], match.max()
        values = self._turned(np.stack(np.unravel_index(best, self.sizes), axis=1).astype(float))
        values[images.reshape(len(images), math.prod(self.shape)).std(axis=1) < 1e-9] = np.nan
        return Reading(values, fit)

    def _turned(self, points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """The points with the values of periodic factors within the first period."""
        return np.mod(points, [factor.period or np.inf for factor in self.space().factors])


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """A file in the folder of data sets, which is made if it is missing."""
    given = os.environ.get(FOLDER)
    if not given:
        raise RequestError(f"{FOLDER}: got nothing, needs the folder with the files of data sets")
    path = named_path(given, FOLDER) / name
    if not path.exists():
        temporary = temporary_beside(path)
        try:
            with told(str(path), "a folder that may be written"):
                make(temporary)
                rename(temporary, path)
        finally:
            discard(temporary)
    return path


def _source(family: FromFile) -> Path:
    """The user's file whose content has the checksum."""
    folder = named_path(os.environ[FOLDER], FOLDER)
    for path in sorted(folder.glob(family.pattern)):
        with path.open("rb") as file:
            if hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == family.md5:
                return path
    raise RequestError(
        f"{folder}: got no file {family.pattern} with the MD5 checksum {family.md5}, needs {family.name}, or "
        "data.picture.md5 of the file that is there"
    )


def _unpack(family: FromFile, source: Path, target: Path) -> None:
    """Write the pictures of the user's file as an array file of numpy's, and check their order."""
    with told(str(source), f"a file like {family.name}"):
        unpack = _unpack_npz if source.suffix == ".npz" else _unpack_h5
        labels = unpack(family, source, target)
    if labels is not None and not _is_lattice(labels[:, -len(family.sizes) :], family.sizes):
        raise RequestError(f"{source}: got pictures in another order than that of sizes {family.sizes}, needs this one")


def _unpack_npz(family: FromFile, source: Path, target: Path) -> Shaped[np.ndarray, "n k"] | None:
    with zipfile.ZipFile(source) as packed, packed.open(f"{family.member}.npy") as array, target.open("xb") as file:
        shutil.copyfileobj(array, file, AT_ONCE)
        file.flush()
        os.fsync(file.fileno())
    return np.load(source)[family.labels] if family.labels else None


def _unpack_h5(family: FromFile, source: Path, target: Path) -> Shaped[np.ndarray, "n k"] | None:
    try:
        import h5py  # pyright: ignore[reportMissingImports]  # an extra
    except ImportError:
        raise RequestError(f"{source}: got no package h5py, needs pip install 'hyperfactor[files]'") from None
    with h5py.File(source) as packed:
        pictures: Any = packed[family.member]
        into = np.lib.format.open_memmap(target, "w+", pictures.dtype, pictures.shape)
        some = max(1, AT_ONCE // math.prod(pictures.shape[1:]))
        for i in range(0, len(pictures), some):
            into[i : i + some] = pictures[i : i + some]
        into.flush()
        labels: Any = packed[family.labels] if family.labels else None
        return None if labels is None else labels[:]


def _is_lattice(labels: Shaped[np.ndarray, "n k"], sizes: tuple[int, ...]) -> bool:
    """Whether rows of labels run through all combinations of ascending values, the last column fastest."""
    if len(labels) != math.prod(sizes):
        return False
    table = labels.reshape(*sizes, len(sizes))
    for k in range(len(sizes)):
        column = np.moveaxis(table[..., k], k, -1)
        values = column.reshape(-1, sizes[k])[0]
        if not (np.diff(values) > 0).all() or not (column == values).all():
            return False
    return True


def _thumbnails(pictures: Shaped[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n m"]:
    """Means over 8 x 8 blocks of each channel, as rows of mean 0 and norm 1, float32."""
    n, rows, columns, channels = pictures.shape
    by_rows = pictures.reshape(n, SIDE, rows // SIDE, columns, channels).sum(axis=2, dtype=np.float32)
    blocks = by_rows.reshape(n, SIDE, SIDE, columns // SIDE, channels).sum(axis=3)
    return unit(blocks.reshape(n, SIDE * SIDE * channels))


def _write_thumbnails(pictures: UInt8[np.ndarray, "n h w c"], target: Path) -> None:
    into = np.lib.format.open_memmap(target, "w+", np.float32, (len(pictures), SIDE * SIDE * pictures.shape[-1]))
    some = max(1, AT_ONCE // math.prod(pictures.shape[1:]))
    for i in range(0, len(pictures), some):
        into[i : i + some] = _thumbnails(pictures[i : i + some])
    into.flush()


def _alike(given: Float[np.ndarray, "n m"], thumbnails: Float[np.ndarray, "all m"]) -> Int[np.ndarray, "n chosen"]:
    """The indices of the thumbnails most like each given one, ascending."""
    scores, index = np.empty((len(given), 0), dtype=np.float32), np.empty((len(given), 0), dtype=np.intp)
    some = max(CHOSEN, AT_ONCE // max(given.shape))
    for i in range(0, len(thumbnails), some):
        block = given @ thumbnails[i : i + some].T
        scores = np.concatenate([scores, block], axis=1)
        index = np.concatenate([index, np.broadcast_to(np.arange(i, i + block.shape[1]), block.shape)], axis=1)
        if scores.shape[1] > CHOSEN:
            best = np.argpartition(scores, -CHOSEN, axis=1)[:, -CHOSEN:]
            scores, index = np.take_along_axis(scores, best, axis=1), np.take_along_axis(index, best, axis=1)
    return np.sort(index, axis=1)
