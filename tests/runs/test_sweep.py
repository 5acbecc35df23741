"""Sweeps on Dask lose nothing when a worker, a client or the whole machine is killed.

The slow tests kill 20 times at random moments, the quick ones once at a chosen moment.
"""

import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.spawn import get_preparation_data
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from hyperfactor import DivergedError, Run, RunSpec, Store, StoreError, plugins, train
from hyperfactor.errors import RequestError, RunError, WriteError
from hyperfactor.runs import cluster as cluster_module, sweep as sweep_module
from hyperfactor.runs.cluster import _check_workers
from hyperfactor.runs.sweep import train_all
from hyperfactor.store.store import CHECKPOINT
from hyperfactor.store.verify import verify

RUNS = 4
GUARD = 900  # seconds after which a wait is given up: far more than a loaded machine needs


def spec_of(tiny: RunSpec, seed: int, steps: int = 30) -> RunSpec:
    changes = {"steps": steps, "evaluate_every": 0, "snapshots": (), "checkpoint_every": 6}
    training = tiny.training.model_copy(update=changes)
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
from hyperfactor.runs.sweep import train_all
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
    """The call of a user, in a process and a process group of its own."""
    specs = [spec_of(tiny, seed).model_dump_json() for seed in range(RUNS)]
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
    """End the sweep that a failed test leaves behind."""
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
    """Wait until a living process trains a run, or the sweep ends. Returns whether a process trains it."""
    while process.poll() is None:
        if any(store.leases.holder(run) for run in store.ids()):
            return True
        time.sleep(0.02)
    return False


def checked(store: Store, undisturbed: dict[str, bytes]) -> None:
    """Check that the store has every run with the same bits, and nothing else."""
    assert store.ids() == sorted(undisturbed)
    for run, weights in undisturbed.items():
        assert store.read(run, "weights.safetensors") == weights
        assert not [name for name in store.files.sizes(run) if name.startswith(".") or "checkpoint" in name]
    assert list(verify(store)) == []


def has_checkpoint(process: subprocess.Popen[str], store: Store) -> bool:
    """Wait until a run of a living sweep has a checkpoint, or the sweep ends. Returns whether it has one."""
    while process.poll() is None:
        if any(store.files.sizes(run).keys() & {CHECKPOINT} for run in store.ids()):
            return True
        time.sleep(0.02)
    return False


def test_a_sweep_killed_then_interrupted_ends_in_the_same_bits(
    tiny: RunSpec, undisturbed: dict[str, bytes], tmp_path: Path
):
    """SIGKILL to all processes, then Ctrl-C, then the same runs to their end in this process."""
    store, outs, finished = Store(tmp_path / "store"), [], []
    process = sweep(tiny, store.path)
    assert has_checkpoint(process, store)
    workers = workers_of(process)
    assert workers
    for target in (process, *workers):
        target.kill()
    outs.append(process.communicate(timeout=GUARD)[0])
    assert process.returncode == -signal.SIGKILL

    process = sweep(tiny, store.path)
    assert is_training(process, store)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=GUARD)
    outs.append(out)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in err
    psutil.wait_procs(workers, timeout=GUARD)
    assert not [worker for worker in workers if worker.is_running()]

    runs, _ = train_all([spec_of(tiny, seed) for seed in range(RUNS)], store.path, workers=1, finished=finished.append)
    assert set(runs) == set(undisturbed)
    trained = [line.split()[1] for out in outs for line in out.splitlines() if line.startswith("trained")]
    trained += [run.id for run in finished]
    assert len(trained) == len(set(trained))  # none twice
    checked(store, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "kills"), [("worker", 20), ("client", 20), ("everything", 20)])
def test_kills_lose_nothing(
    victim: str, kills: int, tiny: RunSpec, undisturbed: dict[str, bytes], tmp_path: Path, capsys
):
    """SIGKILL at random moments during training, then the same command again, until it ends by itself."""
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
            out, err = process.communicate(timeout=GUARD)
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
    """One command has two workers. The other runs in this process and waits for runs that those workers train."""
    store = Store(tmp_path / "store")
    process, here, said = sweep(tiny, store.path), [], []
    assert is_training(process, store)
    specs = [spec_of(tiny, seed) for seed in range(RUNS)]
    runs, failures = train_all(specs, store.path, workers=1, finished=here.append, tell=said.append)
    out, err = process.communicate(timeout=GUARD)
    assert f"done {RUNS}" in out, err
    assert not failures
    assert set(runs) == set(undisturbed)
    trained = {line.split()[1] for line in out.splitlines() if line.startswith("trained")}
    assert trained | {run.id for run in here} == set(undisturbed)
    checked(store, undisturbed)


def is_written(file: Path) -> bool:
    """Whether a scheduler's file is complete."""
    try:
        return bool(json.loads(file.read_text()))
    except (FileNotFoundError, ValueError):
        return False


@contextmanager
def running_cluster(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and an ordinary worker, started as by a user. Returns the scheduler's file and process."""
    file, processes = folder / "scheduler.json", []

    def start(*words: str) -> None:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:], "--scheduler-file", str(file)]
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder))

    try:
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not is_written(file):  # a worker that finds half of it ends, and its sweep waits for another
            assert processes[0].poll() is None
            time.sleep(0.05)
        start("dask_worker", "--nthreads", "1", "--no-dashboard", "--resources", "CPU=1")
        yield str(file), processes[0]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(GUARD)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The scheduler's file of a cluster that several sweeps share."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as (file, _):
        yield file


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a scheduler as much time as a busy machine needs."""
    monkeypatch.setattr(cluster_module, "ANSWER", 300)


def test_an_existing_cluster(tiny: RunSpec, undisturbed: dict[str, bytes], cluster: str, tmp_path: Path):
    specs = [spec_of(tiny, seed) for seed in range(RUNS)]
    steps = []
    runs, failures = train_all(
        specs, tmp_path / "store", scheduler=cluster, report=lambda spec, step: steps.append((spec.id, step))
    )
    assert not failures
    assert set(runs) == set(undisturbed)
    checked(Store(tmp_path / "store"), undisturbed)
    assert {run for run, _ in steps} == set(runs)


def test_a_file_of_the_users_reaches_workers_that_cannot_read_it(tiny: RunSpec, cluster: str, tmp_path: Path):
    file = tmp_path / "my_half.py"
    file.write_text(
        "from typing import Literal\nfrom hyperfactor.factors import Region\n"
        "class Half(Region):\n    kind: Literal['half'] = 'half'\n"
        "    def contains(self, points, space):\n        return points[:, 0] < 8\n"
    )
    plugins.load(file)
    file.unlink()
    data = {**tiny.data.model_dump(mode="json"), "train": {"kind": "half"}}
    runs, failures = train_all(
        [tiny.model_copy(update={"data": data, "seed": seed}) for seed in range(2)], tmp_path / "s", scheduler=cluster
    )
    assert not failures
    assert len(runs) == 2


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_sweep_with_one_line(tiny: RunSpec, tmp_path: Path):
    with (
        running_cluster(tmp_path) as (file, scheduler),
        pytest.raises(RunError, match="got no answer any more, needs one that runs"),
    ):
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
    runs, _ = train_all([*specs, specs[0]], bucket, workers=2, finished=finished.append)  # equal specs are one run
    assert dict(os.environ) == variables  # Dask sets some for its workers
    assert sorted(run.id for run in finished) == sorted(undisturbed) == sorted(runs)
    checked(Store(bucket), undisturbed)
    train_all(specs, bucket, workers=2, finished=finished.append)
    assert len(finished) == RUNS


def test_a_run_that_fails_and_a_damaged_checkpoint_stop_no_other(tiny: RunSpec, cluster: str, tmp_path: Path):
    store, damaged = Store(tmp_path), spec_of(tiny, 0, 10)
    with store.lease(damaged.id):
        store.start(damaged.id, damaged.model_dump(mode="json"))
    store.files.write(f"{damaged.id}/{CHECKPOINT}", b"nothing")
    bad = tiny.model_copy(
        update={"training": tiny.training.model_copy(update={"learning_rate": 1e30, "clip": 1e30, "steps": 100})}
    )
    specs = [bad, damaged, spec_of(tiny, 1, 10), spec_of(tiny, 2, 10)]
    runs, failures = train_all(specs, tmp_path, scheduler=cluster)
    assert set(runs) == {spec.id for spec in specs[2:]}
    assert {run: type(error) for run, error in failures.items()} == {bad.id: DivergedError, damaged.id: StoreError}
    steps: list[int] = []
    _, again = train_all(specs, tmp_path, workers=1, report=lambda _spec, step: steps.append(step))
    assert "lets it be tried again" in str(again[bad.id])
    assert isinstance(again[damaged.id], StoreError)
    assert steps == []


def test_a_store_that_cannot_be_written_stops_the_sweep_with_one_line(tiny: RunSpec, cluster: str, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="Not a directory, needs a folder that can be written"):
        train_all([spec_of(tiny, seed) for seed in range(4)], tmp_path / "file" / "store", scheduler=cluster)


def test_wrong_requests(tiny: RunSpec, tmp_path: Path):
    with pytest.raises(RequestError, match="workers: got 0"):
        train_all([tiny], tmp_path, workers=0)
    with pytest.raises(RequestError, match="needs one of them"):
        train_all([tiny], tmp_path, workers=2, scheduler="tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("content", "needs"),
    [
        (None, "needs tcp://host:port or a scheduler file"),
        (b"", "a file without an address"),
        (b"{}", "a file without an address"),
        (b"[1]", "a file without an address"),
        (b'{"address": "tcp://127.0.0.1:1"', "a file without an address"),
        (b'{"address": 3}', "a file without an address"),
        (b"\xff\x00", "a file without an address"),
        (b'{"address": "http://127.0.0.1:1"}', "unknown address scheme"),
        (b'{"address": "tcp://127.0.0.1"}', "missing port number"),
        (b'{"address": "inproc://x"}', "needs one that answers"),
    ],
)
def test_wrong_scheduler_files(content: bytes | None, needs: str, tiny: RunSpec, tmp_path: Path):
    file = tmp_path / "scheduler.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RequestError, match=f"scheduler: got '{file}'.*{needs}"):
        train_all([tiny], tmp_path / "store", scheduler=str(file))


def test_schedulers_that_do_not_answer(tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster_module, "ANSWER", 0.3)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        for address in ("", "tcp://", nobody):
            with pytest.raises(RequestError, match=f"scheduler: got '{address}'.*needs"):
                train_all([tiny], tmp_path / "store", scheduler=address)
        deaf.listen()  # it takes calls and says nothing
        with pytest.raises(RequestError, match="no answer in 0.3 s.*needs one that answers"):
            train_all([tiny], tmp_path / "store", scheduler=nobody)


@pytest.mark.slow
def test_a_script_without_a_guard(tiny: RunSpec, undisturbed: dict[str, bytes], tmp_path: Path):
    store = Store(tmp_path / "store")
    script = tmp_path / "script.py"
    script.write_text(SWEEP.replace('if __name__ == "__main__"', "if True"))
    specs = [spec_of(tiny, seed).model_dump_json() for seed in range(RUNS)]
    done = subprocess.run([sys.executable, script, store.path, *specs], capture_output=True, text=True, timeout=600)
    assert done.stderr == ""
    assert f"done {RUNS}" in done.stdout
    checked(store, undisturbed)


def test_workers_that_do_not_start_are_started_again_without_the_main_module(
    tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Workers of a script without a guard do not start: each ends at the call that starts workers."""
    starts: list[bool] = []

    def start(**_: object):
        starts.append("init_main_from_name" in (data := get_preparation_data("")) or "init_main_from_path" in data)
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("distributed.SpecCluster", start)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    with pytest.raises(RunError, match=r"workers: got 2 that did not start \(Nanny failed to start.\)"):
        train_all([spec_of(tiny, seed) for seed in range(2)], tmp_path, workers=2)
    assert starts == [True, False]


def test_a_worker_that_reads_a_script_without_a_guard_ends(tiny: RunSpec, tmp_path: Path, monkeypatch):
    def end(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit, match="1"):
        train_all([tiny], tmp_path, workers=2)


def test_a_main_module_that_workers_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    main = sys.modules["__main__"]
    for file, can in ((str(tmp_path), True), ("<stdin>", False), (str(tmp_path / "deleted.py"), False)):
        monkeypatch.setattr(main, "__file__", file, raising=False)
        assert cluster_module._main_can_be_read() is can
        before = dict(vars(main))
        with cluster_module._main_unread():
            data = get_preparation_data("worker")
            assert not {"init_main_from_name", "init_main_from_path"} & set(data)
        assert dict(vars(main)) == before


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_that_follow_from_finished_ones_are_trained_too(workers: int, tiny: RunSpec, tmp_path: Path):
    """Each of two runs is followed by one, and one of these by a last one. The first run is in the store already."""
    first = [spec_of(tiny, seed, steps=2) for seed in range(2)]
    then = {first[0].id: [spec_of(tiny, 2, steps=2)], first[1].id: [spec_of(tiny, 3, steps=2), first[0]]}
    then[then[first[0].id][0].id] = [spec_of(tiny, 4, steps=2)]
    train(first[0], tmp_path)
    asked: list[str] = []
    trained: list[str] = []

    def following(run: Run) -> list[RunSpec]:
        asked.append(run.id)
        return then.get(run.id, [])

    runs, failures = train_all(
        first, tmp_path, workers=workers, following=following, finished=lambda run: trained.append(run.id)
    )
    assert not failures
    assert sorted(run.spec.seed for run in runs.values()) == [0, 1, 2, 3, 4]
    assert sorted(asked) == sorted(runs)
    assert set(trained) == runs.keys() - {first[0].id}


def test_a_run_of_which_nothing_can_follow_has_failed(tiny: RunSpec, tmp_path: Path):
    run = train(spec_of(tiny, 0, steps=2), tmp_path)

    def following(_run: Run) -> list[RunSpec]:
        raise StoreError("evaluation: damaged")

    runs, failures = train_all([run.spec], tmp_path, workers=1, following=following)
    assert (runs, list(failures)) == ({}, [run.id])


def test_what_workers_say_is_told_once():
    told: list[str] = []
    steps: list[int] = []
    here = SimpleNamespace(
        wanted=SimpleNamespace(specs={"run": "spec"}),
        attempts={"run": 1},
        steps={},
        told=set(),
        tell=told.append,
        report=lambda _spec, step: steps.append(step),
    )
    for run, said in (("run", 2), ("run", "a line"), ("other", "not ours"), ("run", "a line"), ("run", 4)):
        sweep_module._Sweep._heard(here, (0.0, (run, said)))  # pyright: ignore[reportArgumentType]
    assert (told, steps, here.steps) == (["a line"], [2, 4], {"run": 4})


def test_workers_of_this_machine_get_the_longest_run_that_is_left_when_they_are_free(tiny: RunSpec):
    specs = {str(steps): spec_of(tiny, 0, steps=steps) for steps in (2, 9, 4, 7)}
    here = sweep_module._Sweep.__new__(sweep_module._Sweep)
    submitted: list[str] = []
    here.most, here.waiting, here.tasks, here.efforts = 2, [], {}, {}
    here.wanted = SimpleNamespace(specs=specs)
    here._submit = lambda run: here.tasks.update({run: run}) or submitted.append(run)
    here._want(["2", "9", "4"])
    assert submitted == ["9", "4"]
    here._want(["7"])
    assert submitted == ["9", "4"]  # all workers are busy
    here.tasks.pop("4")
    here._want([])
    assert submitted == ["9", "4", "7"]
    here.tasks.clear()
    here._want([])
    assert (submitted, here.waiting) == (["9", "4", "7", "2"], [])


def test_the_cost_of_a_run_that_waits_is_computed_once(tiny: RunSpec, monkeypatch: pytest.MonkeyPatch):
    """What a sweep does at the end of a run does not grow with the number of runs that wait."""
    specs = {spec.id: spec for spec in (spec_of(tiny, 0, steps=steps) for steps in (5, 3, 9, 7))}
    asked, submitted = [], []
    monkeypatch.setattr(sweep_module, "effort", lambda spec: asked.append(spec.id) or spec.training.steps)
    one = sweep_module._Sweep.__new__(sweep_module._Sweep)
    one.wanted, one.efforts, one.waiting, one.tasks, one.most = SimpleNamespace(specs=specs), {}, [], {}, 0
    monkeypatch.setattr(one, "_submit", submitted.append)
    one._want(list(specs)[:3])
    one._want(list(specs)[3:])
    for _ in range(100):
        one._want([])
    assert sorted(asked) == sorted(specs)
    monkeypatch.setattr(one, "_submit", lambda run: submitted.append(run) or one.tasks.update({run: run}))
    one.most = 3
    one._want([])
    assert [specs[run].training.steps for run in submitted] == [9, 7, 5]  # the longest first
