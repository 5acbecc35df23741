"""The command line, in this process or in a process of its own."""

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import cast
from unittest import mock

from hyperfactor import cli


def from_a_shell(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "hyperfactor.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "NO_COLOR": "1"})


def hyperfactor(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which avoids importing torch again."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with (
        chdir(cwd),
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch.dict(os.environ),  # which a command sets for its own process
        mock.patch.object(sys, "argv", list(map(str, ("hyperfactor", *arguments)))),
    ):
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
    out.flush()
    text = cast(io.BytesIO, out.buffer).getvalue().decode()
    return subprocess.CompletedProcess(list(map(str, arguments)), int(status), text, err.getvalue())


def one_line(done: subprocess.CompletedProcess[str], *words: str, status: int = 2) -> None:
    """Check the status, and that there is one line with these words and no traceback."""
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("hyperfactor: ")
    for word in words:
        assert word in done.stderr
