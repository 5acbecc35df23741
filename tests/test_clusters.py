"""The examples for clusters, whose commands run here as processes, without a cluster.

tests/cluster/slurm.sh runs the batch script on a real Slurm.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from hyperfactor import Store
from hyperfactor.cli import app
from hyperfactor.experiments import EXPERIMENTS
from hyperfactor.store.verify import verify

EXAMPLES = Path(__file__).parents[1] / "examples"
BATCH = EXAMPLES / "slurm.sbatch"
GUARD = 900  # seconds after which a wait is given up: far more than a loaded machine needs
MANIFESTS = list(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text()))


def manifest(kind: str, name: str) -> dict[str, Any]:
    (found,) = (m for m in MANIFESTS if (m["kind"], m["metadata"]["name"]) == (kind, name))
    return found


def pod(kind: str, name: str) -> dict[str, Any]:
    return manifest(kind, name)["spec"]["template"]["spec"]


def command(kind: str, name: str) -> list[str]:
    (container,) = pod(kind, name)["containers"]
    return container["command"]


def installed(words: list[str]) -> list[str]:
    """The same command with the Python that runs the tests."""
    return [str(Path(sys.executable).with_name(words[0])), *words[1:]]


def test_the_manifests_fit_together():
    port = manifest("Service", "hyperfactor-scheduler")["spec"]["ports"][0]["port"]
    for name in ("hyperfactor-scheduler", "hyperfactor-worker"):
        spec = manifest("Deployment", name)["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    chosen = manifest("Service", "hyperfactor-scheduler")["spec"]["selector"]
    assert chosen == manifest("Deployment", "hyperfactor-scheduler")["spec"]["selector"]["matchLabels"]
    assert str(port) in command("Deployment", "hyperfactor-scheduler")
    address = f"tcp://hyperfactor-scheduler:{port}"
    assert address in command("Deployment", "hyperfactor-worker")
    assert f"--scheduler={address}" in command("Job", "hyperfactor")
    volume = manifest("PersistentVolumeClaim", "hyperfactor")
    assert volume["spec"]["accessModes"] == ["ReadWriteMany"]
    places = [pod("Deployment", "hyperfactor-worker"), pod("Job", "hyperfactor")]
    for place in places:  # the store has the same name for the job and for the workers
        assert [v["persistentVolumeClaim"]["claimName"] for v in place["volumes"]] == ["hyperfactor"]
        assert place["containers"][0]["volumeMounts"] == [{"name": "store", "mountPath": "/hyperfactor"}]


def free_port() -> int:
    """A port below those that the system assigns, so that it stays free until the scheduler takes it."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[list[str]]:
    """The scheduler and the workers of the manifests as processes, and the command of the job."""
    port = str(free_port())

    def here(words: list[str]) -> list[str]:
        changes = {"hyperfactor-scheduler": "127.0.0.1", "8786": port, "=/hyperfactor/": f"={tmp_path}/"}
        for old, new in changes.items():
            words = [word.replace(old, new) for word in words]
        return installed(words)

    processes, logs = [], []
    for name in ("hyperfactor-scheduler", "hyperfactor-worker"):
        for k in range(manifest("Deployment", name)["spec"]["replicas"]):
            logs.append((tmp_path / f"{name}-{k}.log").open("w"))
            words = here(command("Deployment", name))
            process = subprocess.Popen(
                words, stdout=logs[-1], stderr=subprocess.STDOUT, cwd=tmp_path, start_new_session=True
            )
            processes.append(process)
    yield here(command("Job", "hyperfactor"))
    for process in reversed(processes):
        os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        process.wait(GUARD)
    for log in logs:
        log.close()


def test_the_commands_of_the_manifests(kubernetes: list[str], tmp_path: Path):
    began = time.monotonic()
    while True:  # as a job does with restartPolicy OnFailure, until the scheduler answers
        done = subprocess.run(kubernetes, capture_output=True, text=True, cwd=tmp_path)
        if "needs one that answers" not in done.stderr or time.monotonic() - began > GUARD:
            break
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "report.html").stat().st_size > 0
    store = Store(tmp_path / "store")
    wanted = {spec.id for spec in EXPERIMENTS["composition"].specs("smoke", 0).values()}
    assert set(store.ids()) == wanted
    assert all(store.manifest(run) for run in wanted)
    replicas = manifest("Deployment", "hyperfactor-worker")["spec"]["replicas"]
    while registered(tmp_path) < replicas and time.monotonic() - began < GUARD:
        time.sleep(0.1)
    assert registered(tmp_path) == replicas


def registered(folder: Path) -> int:
    return sum("Registered to" in path.read_text() for path in folder.glob("hyperfactor-worker-*.log"))


def test_the_batch_script_is_bash():
    done = subprocess.run(["bash", "-n", BATCH], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_commands_of_the_batch_script_are_known():
    text = BATCH.read_text().replace("\\\n", " ")
    found = [
        shlex.split(line.removesuffix("&"))
        for line in re.findall(r"^(?:srun .*?)?((?:dask|hyperfactor) .*)$", text, re.M)
    ]
    assert [words[:2] for words in found] == [["dask", "scheduler"], ["dask", "worker"], ["hyperfactor", "reproduce"]]
    for words in found:
        if words[0] == "dask":
            (entry,) = entry_points(group="dask_cli", name=words[1])
            command = entry.load()
        else:
            command = get_command(app).commands[words[1]]  # pyright: ignore[reportAttributeAccessIssue]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.slow
def test_a_worker_of_another_machine_dies(tmp_path: Path):
    """Other machines cannot see that its process has ended, only that its heartbeats stop. Its run continues here."""
    (tmp_path / "elsewhere.py").write_text("import platform\nplatform.node = lambda: 'elsewhere'\n")
    file, processes = tmp_path / "scheduler.json", []

    def start(*words: object) -> subprocess.Popen[str]:
        pipe = subprocess.DEVNULL if words[0] == "dask" else subprocess.PIPE
        command = installed([str(word) for word in words])
        processes.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path))
        return processes[-1]

    def leases() -> list[dict[str, Any]]:
        with suppress(OSError, ValueError):  # one that is being written or released
            return [json.loads(path.read_text()) for path in (tmp_path / "store" / ".leases").iterdir()]
        return []

    try:
        start("dask", "scheduler", "--scheduler-file", file, "--port", 0, "--no-dashboard")
        worker = ["dask", "worker", "--scheduler-file", file, "--nthreads", 1, "--no-nanny", "--no-dashboard"]
        victim = start(*worker, "--preload", "elsewhere.py")
        while not file.exists():
            time.sleep(0.1)
        client = start(
            "hyperfactor", "reproduce", "composition", "--preset", "smoke", "--scheduler", file,
            "--store", tmp_path / "store", "--out", tmp_path / "report", "--quiet",
        )  # fmt: skip
        while not leases() and client.poll() is None:
            time.sleep(0.02)
        victim.kill()
        victim.wait()
        (left,) = leases()
        assert left["machine"].startswith("elsewhere|")
        start(*worker)
        _, err = client.communicate(timeout=GUARD)
        assert client.returncode == 0, err
    finally:
        for process in reversed(processes):
            process.kill()
            process.communicate()
    store = Store(tmp_path / "store")
    assert len([run for run in store.ids() if store.manifest(run)]) == 4
    assert list(verify(store)) == []
