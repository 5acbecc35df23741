"""Every family reads its true pictures, with a little noise or without, wherever in its space they lie."""

from pathlib import Path

import numpy as np
import pytest

from hyperfactor.images import Bump, Bumps, Digits, Family, Shapes, Sos
from hyperfactor.images.files import FromFile
from hyperfactor.measures.accuracy import measure

from .small_files import SMALL

NOISE = 0.02  # standard deviation in each pixel
TESTED: dict[str, tuple[Family, int]] = {
    "bump": (Bump(), 1000),
    "bump, periodic": (Bump(boundary="periodic", sigma=2), 1000),
    "bump, dark, with a canvas": (Bump(canvas=45, polarity="dark"), 1000),
    "sos": (Sos(), 1000),
    "sos, with a canvas": (Sos(canvas=45), 1000),
    "bumps": (Bumps(), 600),
    "bumps, three and periodic": (Bumps(count=3, boundary="periodic"), 400),
    "digits": (Digits(), 600),
    "shapes": (Shapes(), 300),
    "shapes, the smallest": (Shapes(size=24), 1000),
}
FROM_FILES = 400  # points of the families whose pictures are in a file


@pytest.fixture(params=[*TESTED, *SMALL])
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Family, int]:
    """A family, and the number of points at which it is asked to read."""
    if request.param in TESTED:
        return TESTED[request.param]
    if request.param == "shapes3d":
        pytest.importorskip("h5py", reason="h5py is not installed")
    monkeypatch.setenv("HYPERFACTOR_DATA", str(tmp_path))
    return SMALL[request.param](tmp_path), FROM_FILES


def drawn(family: Family, n: int, seed: int) -> np.ndarray:
    """Random points of the whole space at which something is visible."""
    generator = np.random.default_rng(seed)
    if isinstance(family, FromFile):
        return generator.permutation(family.space().lattice())[:n]
    points = np.stack(
        [
            generator.integers(int(factor.low), int(factor.high) + 1, n)
            if factor.kind == "categorical"
            else generator.uniform(factor.low, factor.high, n)
            for factor in family.space().factors
        ],
        axis=1,
    )
    return points[family.shown(points).any(axis=1)]


def test_each_family_of_the_package_is_tested():
    ours = {name for name, kind in Family.kinds.items() if kind.__module__.startswith("hyperfactor.")}
    assert ours == {*(type(family).model_fields["family"].default for family, _ in TESTED.values()), *SMALL}


def test_true_pictures_are_read_right(case: tuple[Family, int]):
    family, n = case
    points = drawn(family, n, seed=0)
    images = family.render(points)
    assert images.shape == (len(points), *family.shape)
    assert images.min() >= 0
    assert images.max() <= 1
    exact = measure(images, points, family)
    assert exact.right.mean() >= 0.999
    assert exact.error.max() < 1e-12
    off = np.abs(family.difference(exact.read, points))[family.shown(points)]
    assert np.median(off) <= max(family.resolution, 0.01)
    noisy = (images + np.random.default_rng(1).normal(0, NOISE, images.shape)).clip(0, 1)
    assert measure(noisy, points, family).right.mean() >= 0.999


def test_uniform_pictures_show_nothing(case: tuple[Family, int]):
    family, _ = case
    read = family.read(np.full((2, *family.shape), family.background))
    assert np.isnan(read.values).all()
    assert (read.fit == 0).all()
    assert family.read(np.empty((0, *family.shape))).values.shape == (0, len(family.space()))
