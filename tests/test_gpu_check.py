"""The script that measures the GPU path, on the CPU and at its smallest sizes."""

import subprocess
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_script_runs_through_without_a_gpu():
    script = Path(__file__).parent / "gpu" / "check.sh"
    done = subprocess.run(["bash", script, "--device", "cpu", "--smoke"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for what in (
        "bfloat16",
        "torch.compile",
        "training not recorded",
        "drawing and capture",
        "CPU and device",
        "2 at once",
        "smoke of composition",
    ):
        assert what in done.stdout
    assert "other bits" not in done.stdout  # on the CPU, training is repeatable
    for line in done.stdout.splitlines():
        if line.startswith("CPU and device"):
            assert float(line.split()[-2]) <= 1e-3
