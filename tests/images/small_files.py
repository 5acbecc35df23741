"""Small files with the layout of the published ones: dSprites, Shapes3D and MPI3D."""

import hashlib
from pathlib import Path

import numpy as np

from hyperfactor.images.dsprites import DSprites
from hyperfactor.images.files import FromFile
from hyperfactor.images.mpi3d import Mpi3d
from hyperfactor.images.shapes import coverage
from hyperfactor.images.shapes3d import Shapes3D


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def lattice(sizes: tuple[int, ...]) -> np.ndarray:
    """All numbers of values, the last factor fastest."""
    return np.array(list(np.ndindex(*sizes)))


def dsprites(folder: Path, sizes: tuple[int, ...] = (3, 2, 5, 4, 4), name: str = "dsprites_small.npz") -> DSprites:
    """White shapes: 32 pixels a side, rotations that begin and end with the same one, and pickled metadata."""
    classes = lattice(sizes)
    shape, scale, rotation, x, y = classes.T
    turn = 2 * np.pi * (rotation % (sizes[2] - 1)) / (sizes[2] - 1)
    placed = np.stack([10 + 3 * x, 10 + 3 * y, 5 + 2 * scale, turn], axis=1).astype(float)
    covered = np.concatenate([coverage(kind, placed[shape == kind], 32) for kind in range(sizes[0])])
    np.savez_compressed(
        folder / name,
        metadata=np.array({"title": "never loaded"}, dtype=object),
        imgs=(covered > 0.5).astype(np.uint8),
        latents_classes=np.insert(classes, 0, 0, axis=1),
    )
    return DSprites(md5=md5(folder / name), size=32, sizes=sizes)  # pyright: ignore[reportArgumentType]


def patches(sizes: tuple[int, ...]) -> np.ndarray:
    """Coloured pictures of 16 pixels a side: each factor sets the brightness of two columns in one channel."""
    numbers = lattice(sizes)
    pictures = np.full((len(numbers), 16, 16, 3), 100, dtype=np.uint8)
    for k, size in enumerate(sizes):
        pictures[:, 2:14, 2 * k : 2 * k + 2, k % 3] = (50 + 200 * numbers[:, k] / (size - 1))[:, None, None]
    return pictures


def shapes3d(folder: Path) -> Shapes3D:
    import h5py  # pyright: ignore[reportMissingImports]

    sizes = (3, 2, 3, 2, 4, 3)
    with h5py.File(folder / "3dshapes_small.h5", "w") as file:
        file.create_dataset("images", data=patches(sizes), compression="gzip")
        file.create_dataset("labels", data=lattice(sizes) * [0.1, 0.1, 0.1, 0.07, 1, 30.0] - [0, 0, 0, -0.75, 0, 30])
    return Shapes3D(md5=md5(folder / "3dshapes_small.h5"), size=16, sizes=sizes)


def mpi3d(folder: Path) -> Mpi3d:
    sizes = (2, 3, 2, 3, 2, 3, 4)
    np.savez(folder / "mpi3d_small.npz", images=patches(sizes))
    return Mpi3d(md5=md5(folder / "mpi3d_small.npz"), size=16, sizes=sizes)


SMALL = {"dsprites": dsprites, "shapes3d": shapes3d, "mpi3d": mpi3d}
CLASSES: dict[str, type[FromFile]] = {"dsprites": DSprites, "shapes3d": Shapes3D, "mpi3d": Mpi3d}
