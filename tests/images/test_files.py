import math
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hyperfactor import RequestError, RunSpec, train
from hyperfactor.factors.space import MOST
from hyperfactor.images import files
from hyperfactor.images.files import FromFile
from hyperfactor.measures.accuracy import measure

from .small_files import CLASSES, SMALL, dsprites, lattice, md5, mpi3d, patches

SIZES = {"dsprites": 737_280, "shapes3d": 480_000, "mpi3d": 1_036_800}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HYPERFACTOR_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture(params=SMALL)
def family(request: pytest.FixtureRequest, folder: Path) -> FromFile:
    if request.param == "shapes3d":
        pytest.importorskip("h5py", reason="h5py is not installed")
    return SMALL[request.param](folder)


@pytest.mark.parametrize("name", CLASSES)
def test_the_published_file_is_the_default_and_its_pictures_are_a_lattice(name: str):
    spec = RunSpec.parse({"data": {"picture": {"family": name}, "fraction": 1e-4, "test_points": 1}})
    family = spec.data.picture
    assert isinstance(family, CLASSES[name])
    assert math.prod(family.sizes) == SIZES[name] <= MOST
    counts = [factor.count() for factor in family.space().factors]
    rotations = 39 / 40 if name == "dsprites" else 1  # the last rotation is the first one again
    assert math.prod(counts) == SIZES[name] * rotations
    assert [channels for channels, rows, columns in [family.shape] if rows == columns == 64] == [
        1 if name == "dsprites" else 3
    ]


def test_the_pictures_are_those_of_the_file(family: FromFile, folder: Path):
    numbers = lattice(family.sizes)
    if family.name.endswith(".npz"):
        (source,) = folder.glob("*small.npz")
        expected = np.load(source)[family.member]
    else:
        expected = patches(family.sizes)
    points = numbers[::7].astype(float)
    images = family.render(points)
    assert images.shape == (len(points), *family.shape)
    flat = np.moveaxis(images, 1, -1).reshape(len(points), -1) * family.bright
    assert np.allclose(flat, expected[::7].reshape(len(points), -1))
    found = measure(images, family.space().check(points), family)
    assert found.right.all()
    assert (found.read < [factor.period or np.inf for factor in family.space().factors]).all()


def test_a_file_is_unpacked_once_and_is_not_needed_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    family = dsprites(folder)
    point = np.array([[2.0, 1, 3, 1, 2]])
    image = family.render(point)
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{family.md5}.npy", "dsprites_small.npz"])
    (folder / "dsprites_small.npz").unlink()
    monkeypatch.setattr(files, "_unpack", None)
    assert (family.render(point) == image).all()
    assert isinstance(family.pictures(), np.memmap)
    family.read(image)
    monkeypatch.setattr(files, "_write_thumbnails", None)
    assert family.read(image).fit == pytest.approx(1)


def test_the_picture_read_is_the_nearest_of_all(folder: Path):
    family = mpi3d(folder)
    pictures = family.pictures().reshape(len(family.pictures()), -1).astype(float)
    generator = np.random.default_rng(0)
    a, b = generator.integers(len(pictures), size=(2, 30))
    blends = 0.6 * pictures[a] + 0.4 * pictures[b] + generator.normal(0, 20, (30, pictures.shape[1]))
    read = family.read(np.moveaxis(blends.reshape(30, 16, 16, 3), -1, 1) / 255)
    correlations = np.corrcoef(blends, pictures)[:30, 30:]
    assert (read.values == lattice(family.sizes)[correlations.argmax(axis=1)]).all()
    assert read.fit == pytest.approx(correlations.max(axis=1))


def test_rotations_of_sprites_are_compared_within_their_symmetry(folder: Path):
    family = dsprites(folder, (3, 2, 9, 2, 2))  # eight rotations, 45 degrees apart
    points = np.array([[kind, 1.0, 1.0, 0, 1] for kind in (0, 1, 2) for _ in (2, 4, 7)])
    turned = points.copy()
    turned[:, 2] = 3, 5, 8, 3, 5, 8, 3, 5, 8  # by 90, 180 and 315 degrees
    within = np.abs(family.difference(turned, points)[:, 2])
    assert within.tolist() == [0, 0, 1, 2, 0, 1, 2, 4, 1]
    assert (family.render(np.array([[1.0, 1, 0, 0, 1]])) == family.render(np.array([[1.0, 1, 8, 0, 1]]))).all()


def test_the_id_of_a_spec_names_the_content_and_not_the_place(folder: Path, monkeypatch: pytest.MonkeyPatch):
    family = dsprites(folder)
    data = {"picture": family.model_dump(), "test_points": 2}
    spec = RunSpec.parse(
        {
            "data": data,
            "model": {"width": 4, "attention": []},
            "training": {"steps": 2, "batch": 4, "record_every": 1, "evaluate_every": 0, "warmup": 1},
            "sampling": {"steps": 2},
        }
    )
    run = train(spec, folder / "store")
    assert {"shape_correct", "rotation_read", "x_copied"} <= set(run.evaluate().columns)
    monkeypatch.delenv("HYPERFACTOR_DATA")
    assert RunSpec.parse(spec.model_dump()).id == spec.id
    assert str(folder) not in spec.model_dump_json()
    other = RunSpec.parse({"data": {**data, "picture": {**family.model_dump(), "md5": "0" * 32}}})
    assert RunSpec.parse({"data": data}).id != other.id


def test_wrong_requests_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    family = dsprites(folder)
    with pytest.raises(RequestError, match=r"factors row 1, x: got 1.5, needs a whole number; the file has no"):
        family.render(np.array([[0.0, 0, 0, 1, 1], [0, 0, 0, 1.5, 1]]))
    data = {"picture": family.model_dump(), "spacing": 1.0}
    for wrong in ({"test_spacing": {"x": 0.5}}, {"spacing": {"x": 0.5}}):
        with pytest.raises(RequestError, match=r"data\.(test_)?spacing: .*x: got 0.5, needs a whole number"):
            RunSpec.parse({"data": data | wrong})
    with pytest.raises(RequestError, match=r"sizes: got 4 shapes, needs at most 3, whose symmetries are known"):
        RunSpec.parse({"data": {"picture": {"family": "dsprites", "sizes": [4, 2, 5, 4, 4]}}})
    other = family.model_copy(update={"md5": "0" * 32})
    with pytest.raises(RequestError, match=r"got no file \*dsprites\*.npz with the MD5 checksum 0{32}, needs dspr"):
        other.render(np.zeros((1, 5)))
    with pytest.raises(RequestError, match="picture.md5: got 'abc', needs the 32 hexadecimal digits that `md5sum"):
        RunSpec.parse({"data": {"picture": {"family": "dsprites", "md5": "abc"}}})
    with pytest.raises(RequestError, match=r"got pictures in another order than that of sizes \(2, 3, 5, 4, 4\)"):
        family.model_copy(update={"sizes": (2, 3, 5, 4, 4)}).render(np.zeros((1, 5)))
    family.render(np.zeros((1, 5)))
    with pytest.raises(RequestError, match=r"needs uint8 of shape \(480, 64, 64, 1\), of sizes \(3, 2, 5, 4, 4\)"):
        family.model_copy(update={"size": 64}).render(np.zeros((1, 5)))
    monkeypatch.setenv("HYPERFACTOR_DATA", str(folder / "nowhere"))
    with pytest.raises(RequestError, match="nowhere"):
        family.render(np.zeros((1, 5)))
    monkeypatch.delenv("HYPERFACTOR_DATA")
    with pytest.raises(RequestError, match="HYPERFACTOR_DATA: got nothing, needs the folder with the files"):
        family.render(np.zeros((1, 5)))


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_nothing_is_unpickled_and_a_damaged_file_leaves_nothing(folder: Path):
    pickled = folder / "dsprites_pickled.npz"
    with zipfile.ZipFile(pickled, "w") as file:
        file.writestr("imgs.npy", b"")
        file.writestr("latents_classes.npy", b"\x93NUMPY\x01\x00" + pickle.dumps(Harmful()))
    (folder / "dsprites_cut.npz").write_bytes(b"PK\x03\x04")
    for path in (pickled, folder / "dsprites_cut.npz"):
        family = CLASSES["dsprites"](md5=md5(path), size=32, sizes=(3, 2, 5, 4, 4))
        with pytest.raises(RequestError, match=r"npz: .*, needs a file like dsprites_ndarray"):
            family.render(np.zeros((1, 5)))
    assert sorted(path.name for path in folder.iterdir()) == ["dsprites_cut.npz", "dsprites_pickled.npz"]


def test_a_missing_package_is_said_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    path = folder / "3dshapes_small.h5"
    path.write_bytes(b"anything")
    with pytest.raises(RequestError, match=r"h5: got no package h5py, needs pip install 'hyperfactor\[files\]'"):
        CLASSES["shapes3d"](md5=md5(path), sizes=(2,) * 6).render(np.zeros((1, 6)))
