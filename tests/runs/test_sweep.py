"""Sweeps on Dask: what a worker, a client or the whole machine loses when it is killed is nothing.

The kill tests repeat kills at random moments, twice in the quick tests and 20 times in the slow ones.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hyperfactor import Run, RunSpec, Store, StoreError, train
from hyperfactor.errors import RequestError, RunError, WriteError
from hyperfactor.runs.sweep import _check_workers, train_all

RUNS = 4


def spec_of(tiny: RunSpec, seed: int, steps: int = 100) -> RunSpec:
    training = tiny.training.model_copy(update={"steps": steps, "evaluate_every": 0, "snapshots": ()})
    return tiny.model_copy(update={"seed": seed, "training": training})


@pytest.fixture(scope="module")
def undisturbed(tiny: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The weights of RUNS runs, each trained alone in this process."""
    store = tmp_path_factory.mktemp("undisturbed")
    runs = [train(spec_of(tiny, seed), store, threads=1) for seed in range(RUNS)]
    return {run.id: run._store.read(run.id, "weights.safetensors") for run in runs}


SWEEP = """
import sys
from hyperfactor import RunSpec
from hyperfactor.runs.sweep import _check_workers, train_all
if __name__ == "__main__":
    store, *canonical = sys.argv[1:]
    specs = [RunSpec.model_validate_json(text) for text in canonical]
    runs, failures = train_all(
        specs, store, workers=2, finished=lambda run: print("trained", run.id, flush=True)
    )
    assert not failures, failures
    print("done", len(runs), flush=True)
"""


def sweep(tiny: RunSpec, store: Path) -> subprocess.Popen[str]:
    """The same call as a user's, in a process of its own and a group of its own."""
    specs = [spec_of(tiny, seed).canonical() for seed in range(RUNS)]
    script = store.with_suffix(".py")
    script.write_text(SWEEP)
    process = subprocess.Popen(
        [sys.executable, str(script), str(store), *specs],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    STARTED.append(process)
    return process


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    """A test that fails leaves no sweep behind."""
    yield
    while STARTED:
        with suppress(ProcessLookupError):
            os.killpg(STARTED.pop().pid, signal.SIGKILL)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a sweep."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        return [child for child in below if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def is_training(process: subprocess.Popen[str], store: Store) -> bool:
    """Wait until a living process trains a run, or the sweep ends; whether it trains."""
    while process.poll() is None:
        if any(store.claims.holder(run) for run in store.ids()):
            return True
        time.sleep(0.02)
    return False


def checked(store: Store, undisturbed: dict[str, bytes]) -> None:
    """Every run is there with the same bits, and nothing else."""
    assert store.ids() == sorted(undisturbed)
    for run, weights in undisturbed.items():
        assert store.read(run, "weights.safetensors") == weights
        assert not [name for name in store.files.sizes(run) if name.startswith(".") or "checkpoint" in name]
    assert list(store.verify()) == []


KILLS = [
    pytest.param("everything", 2, id="everything-few"),
    *(
        pytest.param(victim, 20, id=f"{victim}-many", marks=pytest.mark.slow)
        for victim in ("worker", "client", "everything")
    ),
]


@pytest.mark.parametrize(("victim", "kills"), KILLS)
def test_kills_lose_nothing(
    victim: str, kills: int, tiny: RunSpec, undisturbed: dict[str, bytes], tmp_path: Path, capsys
):
    """SIGKILL at random moments while runs are trained; the same command again, until it ends by itself."""
    moments, done, sweeps, stores = random.Random(f"{victim} {kills}"), 0, 0, 0
    while done < kills:
        stores += 1
        store, trained = Store(tmp_path / f"store-{stores}"), []
        while True:
            sweeps += 1
            process = sweep(tiny, store.path)
            while done < kills and is_training(process, store):
                time.sleep(moments.uniform(0, 1.5))
                workers = workers_of(process)
                if victim == "worker":
                    targets = [moments.choice(workers)] if workers else []
                else:
                    targets = [process, *(workers if victim == "everything" else [])]
                if targets and process.poll() is None:
                    done += 1
                    for target in targets:
                        with suppress(psutil.NoSuchProcess):
                            target.kill()
            out, err = process.communicate(timeout=300)
            trained += [line for line in out.splitlines() if line.startswith("trained")]
            if process.returncode == 0:
                break
            # a run that loses four workers without a step forward is given up, until the same command again
            assert process.returncode == -signal.SIGKILL or "each worker that trained it died" in err, err
        assert f"done {RUNS}" in out
        assert len(trained) == len(set(trained))  # none twice
        checked(store, undisturbed)
    with capsys.disabled():
        print(f"\n{done} kills of {victim}, {sweeps} sweeps of {RUNS} runs in {stores} stores: all bits equal", end=" ")


def test_two_commands_at_once_train_each_run_once(tiny: RunSpec, undisturbed: dict[str, bytes], tmp_path: Path):
    store = Store(tmp_path / "store")
    processes = [sweep(tiny, store.path) for _ in range(2)]
    outs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outs
    assert all(f"done {RUNS}" in out for out, _ in outs)
    trained = [line.split()[1] for out, _ in outs for line in out.splitlines() if line.startswith("trained")]
    assert set(trained) == set(undisturbed)
    checked(store, undisturbed)


def test_ctrl_c_stops_and_the_same_call_goes_on(tiny: RunSpec, undisturbed: dict[str, bytes], tmp_path: Path):
    store = Store(tmp_path / "store")
    process = sweep(tiny, store.path)
    assert is_training(process, store)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in err
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if worker.is_running()]
    process = sweep(tiny, store.path)
    out, err = process.communicate(timeout=300)
    assert f"done {RUNS}" in out, err
    checked(store, undisturbed)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and two ordinary workers, as a user starts them; the scheduler's file, and its process."""
    file, processes = tmp_path / "scheduler.json", []

    def start(*words: str) -> None:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:], "--scheduler-file", str(file)]
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    for resource in ("GPU=1", "CPU=1"):
        start("dask_worker", "--nthreads", "1", "--no-dashboard", "--resources", resource)
    began = time.monotonic()
    while not file.exists():
        assert time.monotonic() - began < 60
        time.sleep(0.1)
    yield str(file), processes[0]
    for process in processes:
        process.terminate()
        process.wait()


def test_an_existing_cluster(tiny: RunSpec, undisturbed: dict[str, bytes], cluster, tmp_path: Path):
    specs = [spec_of(tiny, seed) for seed in range(RUNS)]
    steps = []
    runs, failures = train_all(
        specs, tmp_path / "store", scheduler=cluster[0], report=lambda spec, step: steps.append((spec.id, step))
    )
    assert not failures
    assert set(runs) == set(undisturbed)
    checked(Store(tmp_path / "store"), undisturbed)
    assert {run for run, _ in steps} == set(runs)


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_sweep_with_one_line(tiny: RunSpec, cluster, tmp_path: Path):
    file, scheduler = cluster
    with pytest.raises(RunError, match="got no answer from it any more, needs one that lives"):
        train_all(
            [spec_of(tiny, seed, 2000) for seed in range(2)], tmp_path / "store", scheduler=file,
            report=lambda _spec, _step: scheduler.kill(),
        )  # fmt: skip


def test_workers_that_do_not_fit_are_told():
    worker = {"nthreads": 1, "resources": {}}
    _check_workers([worker], gpu=False)
    _check_workers([], gpu=True)  # some may come yet
    _check_workers([worker, {"nthreads": 1, "resources": {"GPU": 1.0}}], gpu=True)
    with pytest.raises(RequestError, match="got workers with 4 threads, needs one each"):
        _check_workers([worker, {"nthreads": 4}], gpu=False)
    with pytest.raises(RequestError, match="got 2 workers without a GPU, needs some"):
        _check_workers([worker, worker], gpu=True)


def test_a_bucket(tiny: RunSpec, undisturbed: dict[str, bytes], bucket: str):
    specs = [spec_of(tiny, seed) for seed in range(RUNS)]
    finished: list[Run] = []
    variables = dict(os.environ)
    train_all(specs, bucket, workers=2, finished=finished.append)
    assert dict(os.environ) == variables  # Dask sets some for its workers
    assert sorted(run.id for run in finished) == sorted(undisturbed)
    checked(Store(bucket), undisturbed)
    train_all(specs, bucket, workers=2, finished=finished.append)
    assert len(finished) == RUNS


def test_a_run_that_fails_by_itself_fails_once_and_stops_no_other(tiny: RunSpec, tmp_path: Path):
    bad = tiny.training.model_copy(update={"learning_rate": 1e30, "clip": 1e30, "steps": 100})
    specs = [tiny.model_copy(update={"training": bad}), *(spec_of(tiny, seed, 10) for seed in range(3))]
    runs, failures = train_all(specs, tmp_path, workers=2)
    assert set(failures) == {specs[0].id}
    assert len(runs) == 3
    assert isinstance(failures[specs[0].id], RunError)
    steps: list[int] = []
    _, again = train_all(specs, tmp_path, workers=2, report=lambda _spec, step: steps.append(step))
    assert "lets it be tried again" in str(again[specs[0].id])
    assert steps == []


def test_a_damaged_checkpoint_stops_no_other_run(tiny: RunSpec, tmp_path: Path):
    store, damaged = Store(tmp_path), spec_of(tiny, 0, 10)
    with store.claim(damaged.id):
        store.start(damaged)
    store.files.write(f"{damaged.id}/checkpoint.safetensors", b"nothing")
    runs, failures = train_all([damaged, spec_of(tiny, 1, 10), spec_of(tiny, 2, 10)], tmp_path, workers=2)
    assert len(runs) == 2
    assert isinstance(failures[damaged.id], StoreError)


def test_a_store_that_cannot_be_written_stops_the_sweep_with_one_line(tiny: RunSpec, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="Not a directory, needs a folder that can be written"):
        train_all([spec_of(tiny, seed) for seed in range(4)], tmp_path / "file" / "store", workers=2)


def test_wrong_requests(tiny: RunSpec, tmp_path: Path):
    with pytest.raises(RequestError, match="workers: got 0"):
        train_all([tiny], tmp_path, workers=0)
    with pytest.raises(RequestError, match="needs one of them"):
        train_all([tiny], tmp_path, workers=2, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(RequestError, match="scheduler: got 'nowhere.json', needs tcp"):
        train_all([tiny], tmp_path, scheduler="nowhere.json")
