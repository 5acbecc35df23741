"""Shared parts of the tests: settings of processes, a tiny spec with a run, an S3 server, stores, and a browser."""

import itertools
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# Read when torch and numba load, and by child processes.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
# Workers of Dask sample their own stacks 100 times a second, which slows the other tests down.
os.environ |= {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False", "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s"}

import hypothesis
import numpy as np
import pytest
import torch

from hyperfactor import Run, RunSpec, train
from hyperfactor.measures import rips, topology

from .chromium import FLAGS, PATIENCE
from .forgetting import forgetting

if TYPE_CHECKING:
    from playwright.sync_api import Browser

torch.set_num_threads(1)
# The same examples in every run, however long one takes.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("tests")

TINY = {
    "data": {
        "picture": {"family": "sos", "size": 16, "canvas": 22},
        "train": {"kind": "difference", "of": {"kind": "everything"}, "without": {"kind": "cross", "bounds": [6, 8]}},
        "test": {"held_out": {"kind": "rectangle", "bounds": {"x": [6, 8], "y": [0, 15]}}},
        "test_points": 7,
    },
    "model": {"width": 4, "attention": ["down2", "up1"]},
    "training": {
        "steps": 12, "batch": 4, "warmup": 2, "record_every": 2, "evaluate_every": 6, "checkpoint_every": 2,
        "snapshots": [0, 5, 12],
    },
    "sampling": {"steps": 3},
}  # fmt: skip


LONGEST = ("test_docs.py", "test_sweep.py", "test_cli.py", "test_browser.py", "test_report.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no process is left with one of them at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Draw the same random weights in a test, and in the fixtures set up for it, whichever tests ran before."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _plugins_are_forgotten() -> Iterator[None]:
    with forgetting():
        yield


@pytest.fixture(scope="session")
def tiny() -> RunSpec:
    return RunSpec.parse(TINY)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def run(tiny: RunSpec, store: Path) -> Run:
    return train(tiny, store, threads=1)


@pytest.fixture(scope="session", autouse=True)
def _homology_in_this_process() -> Iterator[None]:
    """Compute homology without a child process, which takes a second to start. Tests of the child use `child`."""

    def here(
        clouds: dict[str, np.ndarray], max_dim: int, fields: Sequence[int], memory: int, seconds: float
    ) -> dict[str, np.ndarray]:
        return rips.diagrams(clouds, max_dim, fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topology, "_in_child", here)
        yield


_IN_CHILD = topology._in_child


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute homology in a child process, as outside the tests."""
    monkeypatch.setattr(topology, "_in_child", _IN_CHILD)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server on this machine, with the environment variables of its clients set."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


_names = (f"bucket-{k}" for k in itertools.count())


@pytest.fixture
def bucket(s3: str) -> str:
    """The address of a store in a new bucket."""
    import boto3

    name = next(_names)
    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket=name)
    return f"s3://{name}/runs?endpoint_url={s3}"


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder or a bucket for a store."""
    return str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("bucket")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Debian's chromium, without a display. Without it, or without playwright, tests are skipped, but not in CI."""
    missing = pytest.fail if "CI" in os.environ else pytest.skip
    if (chromium := shutil.which("chromium")) is None:
        missing("this machine has no chromium, needs the one of `apt install chromium`")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed, needs `pip install -e .[dev]`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()
