"""Settings that processes of Hyperfactor change, and settings that stay in the processes of others."""

import os
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch

from hyperfactor import RequestError, Run, RunSpec, process, train
from hyperfactor.runs import sweep


@pytest.fixture
def set_memory(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The calls of mallopt, which are recorded and not made."""
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda parameter, size: calls.append((parameter, size)))
    monkeypatch.setattr(process.ctypes, "CDLL", lambda _name: library)
    return calls


KEPT = [(-1, 2**28), (-3, 2**25)]  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in malloc.h


def test_train_leaves_its_caller_as_it_was(run: Run, tiny: RunSpec, tmp_path: Path, set_memory: list):
    before, variables = torch.get_num_threads(), dict(os.environ)
    within = []
    training = tiny.training.model_copy(update={"steps": 2, "evaluate_every": 0, "snapshots": ()})
    spec = tiny.model_copy(update={"training": training})
    found = train(spec, tmp_path, threads=2, report=lambda _step: within.append(torch.get_num_threads()))
    assert set(within) == {2}
    assert found.manifest["threads"] == 2
    assert torch.get_num_threads() == before
    assert dict(os.environ) == variables
    assert set_memory == []


def test_a_run_has_one_thread_unless_asked_for_more(run: Run, tmp_path: Path, tiny: RunSpec):
    assert run.manifest["threads"] == 1
    for threads in (0, -1, 100_000):
        with pytest.raises(RequestError, match=f"threads: got {threads}, needs an integer in 1..512"):
            train(tiny, tmp_path, threads=threads)


def test_a_worker_keeps_freed_memory(run: Run, store: Path, set_memory: list, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("distributed.get_worker", lambda: SimpleNamespace(log_event=None))
    assert sweep._train_one(run.spec.model_dump_json(), str(store), "cpu", None, "", ()) is None
    assert set_memory == KEPT


def test_an_interrupted_block_waits_for_no_thread():
    end, calls = threading.Event(), []

    def interrupted() -> None:
        with process.all_cores() as pool:
            calls.extend(pool.submit(end.wait, 60) for _ in range((os.cpu_count() or 1) + 1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert process.is_computing()
    assert calls[-1].cancelled()
    end.set()
    for thread in threading.enumerate():
        if thread.name.startswith(process.COMPUTING):
            thread.join()
    assert not process.is_computing()
    with process.all_cores() as pool:
        assert list(pool.map(abs, (-1, -2))) == [1, 2]
    assert not process.is_computing()


def test_a_command_sets_threads_memory_and_backend(set_memory: list, monkeypatch: pytest.MonkeyPatch):
    for name in process.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")  # the user's choice stays
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", dict(os.environ))
        process.prepare_command()
        assert os.environ["OMP_NUM_THREADS"] == os.environ["NUMBA_NUM_THREADS"] == "1"
        assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
        assert os.environ["MPLBACKEND"] == "agg"
    assert set_memory == KEPT


def test_waiting_threads_of_a_command_sleep():
    """libgomp reads the policy when torch is loaded, so a command must set it before. libgomp says what it read."""
    code = (
        "import sys; sys.argv = ['hyperfactor', 'list']\nfrom hyperfactor import cli\n"
        "import hyperfactor.process as p\np.prepare_command()\nimport torch"
    )
    environment = {name: value for name, value in os.environ.items() if name not in process.THREADS}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**environment, "OMP_DISPLAY_ENV": "TRUE"}
    )
    assert done.returncode == 0
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr
    assert "OMP_NUM_THREADS = '1'" in done.stderr


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_draws(run: Run):
    """Threads of torch do not survive a fork, and a child that waits for them waits for ever."""
    before, points = torch.get_num_threads(), np.array([[1.0, 2.0]] * 16)
    torch.set_num_threads(2)
    try:
        run.sample(points)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                import signal

                signal.alarm(120)
                run.sample(points)
                status = 0 if torch.get_num_threads() == 1 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert torch.get_num_threads() == 2  # the parent keeps its own
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without any folder that can be written, and its HOME, which does not exist."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(process, "keep_freed_memory", lambda: None)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "DASK_CONFIG"):
        os.environ.pop(name, None)
    (tmp_path / "file").write_text("in the way")
    home = tmp_path / "file" / "home"
    monkeypatch.setattr(os.path, "expanduser", lambda name: name.replace("~", str(home)))
    return home


def test_without_a_home_there_is_a_temporary_place_for_caches(no_home: Path):
    process.prepare_command()
    folder = os.environ["XDG_CACHE_HOME"]
    assert os.path.isdir(folder)
    assert os.environ["MPLCONFIGDIR"] == os.environ["DASK_CONFIG"] == folder


def test_a_home_that_can_be_written_is_used(no_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os.path, "expanduser", lambda name: name.replace("~", str(tmp_path)))
    process.prepare_command()
    assert not {"XDG_CACHE_HOME", "MPLCONFIGDIR", "DASK_CONFIG"} & set(os.environ)


def test_a_home_that_nobody_knows_is_no_folder_here(no_home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os.path, "expanduser", lambda name: name)  # as Python does for a user without an entry
    process.prepare_command()
    assert os.path.isabs(os.environ["XDG_CACHE_HOME"])
    assert not os.path.exists("~")


def test_room_is_what_the_process_s_own_limit_leaves(monkeypatch: pytest.MonkeyPatch):
    used = psutil.Process().memory_info().vms
    assert 0 < process.room() <= psutil.virtual_memory().total
    monkeypatch.setattr(resource, "getrlimit", lambda _: (used + 10**8, used + 10**8))
    assert 0 < process.room() <= 10**8 + 10**7
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**6, 10**6))
    assert process.room() == 0


def python(code: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a new process, whose current folder may be another one than that of the code."""
    start = (
        "import multiprocessing, os, signal, psutil\nfrom concurrent.futures import ProcessPoolExecutor\n"
        "from hyperfactor import process\n"
    )
    if folder is None:
        return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True)
    with tempfile.TemporaryDirectory() as elsewhere:
        script = Path(elsewhere, "script.py")
        script.write_text(start + code)
        return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=folder)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned elsewhere")
def test_workers_of_a_command_are_forked_from_a_server_that_has_imported_torch():
    """Ctrl-C in a terminal reaches the server too, also while it imports, and does not end it."""
    done = python("""
process.prepare_command()
process.begin_workers(2)
server, = process._servers
server.send_signal(signal.SIGINT)
context = multiprocessing.get_context(process.start_method())
with ProcessPoolExecutor(1, context) as pool:
    assert pool.submit(os.getppid).result() == server.pid
    assert pool.submit(eval, "{'torch', 'distributed'} <= set(__import__('sys').modules)").result()
    assert not pool.submit(eval, "__import__('torch').cuda.is_initialized()").result()
process.end_workers()
server.wait(60)
assert process.start_method() == "spawn"
""")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned elsewhere")
def test_files_in_the_current_folder_do_not_replace_what_the_server_imports(tmp_path: Path):
    for name in ("random.py", "distributed.py", "statistics.py"):
        (tmp_path / name).write_text("1 / 0")
    code = """
if __name__ == "__main__":
    process.prepare_command()
    process.begin_workers(2)
    server, = process._servers
    with ProcessPoolExecutor(1, multiprocessing.get_context(process.start_method())) as pool:
        assert pool.submit(os.getppid).result() == server.pid
        assert pool.submit(eval, "{'torch', 'distributed'} <= set(__import__('sys').modules)").result()
    process.end_workers()
"""
    done = python(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned elsewhere")
def test_workers_are_spawned_where_the_server_cannot_have_a_socket(tmp_path: Path):
    deep = tmp_path / ("deep" * 30)  # the name of a socket has at most 107 characters
    deep.mkdir()
    done = python(f"""
import tempfile
tempfile.tempdir = {str(deep)!r}
process.prepare_command()
process.begin_workers(2)
assert process.start_method() == "spawn"
process.end_workers()
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_no_server_is_started_for_one_worker_or_in_the_program_of_a_user():
    done = python("""
process.begin_workers(2)
process.prepare_command()
process.begin_workers(1)
assert process.start_method() == "spawn" and not psutil.Process().children()
""")
    assert (done.returncode, done.stderr) == (0, "")
