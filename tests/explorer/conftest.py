"""A store with runs and a result, and a server that shows it, beside a model of a user."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hyperfactor import RunSpec, TorchSubject, train
from hyperfactor.experiments.composition import EXPERIMENT as COMPOSITION
from hyperfactor.explorer.collection import Collection
from hyperfactor.explorer.server import open_server
from hyperfactor.factors import Factor, FactorSpace
from hyperfactor.store.store import Store

FACTORS = ("h", "v", "seed")  # of the model of a user; addresses have these names too


@pytest.fixture(scope="session")
def shown(tiny: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two tiny runs, the runs of an experiment, its result, a run in training and a damaged one."""
    store = tmp_path_factory.mktemp("shown")
    for seed in (0, 1):
        train(RunSpec.parse({**tiny.model_dump(mode="json"), "seed": seed}), store, threads=1)
    runs = {role: [train(spec, store)] for role, spec in COMPOSITION.specs("smoke", 0).items()}
    COMPOSITION.result("smoke", (0,), runs, Store(store).files)
    return store


@pytest.fixture(scope="session")
def collection(shown: Path) -> Collection:
    return Collection(shown)


@pytest.fixture(scope="session")
def site(shown: Path) -> Iterator[str]:
    """The address of a server that shows the store and a model of a user."""
    space = FactorSpace(tuple(Factor(name, -math.pi, math.pi) for name in FACTORS))
    subject = TorchSubject(torch.nn.Linear(3, 16), space, lambda m, at: m(torch.tensor(at).float()).view(-1, 1, 4, 4))
    server = open_server(Collection(shown, subject), port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
