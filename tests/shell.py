"""The command line, in this process or in a process of its own, and in a terminal."""

import io
import os
import pty
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from multiprocessing import resource_tracker
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


@contextmanager
def terminal(columns: int = 80, **environment: str) -> Iterator[list[str]]:
    """Let both streams of this process be a terminal. Afterwards the list has what was written, as one text."""
    resource_tracker.ensure_running()  # started by the command it would keep the terminal open, which never ended
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "LINES")}
    shown: list[str] = []
    screen, program = pty.openpty()
    tty.setraw(program)  # line ends stay as they are
    content = bytearray()

    def read() -> None:
        with suppress(OSError):  # the program has closed its end
            while some := os.read(screen, 65536):
                content.extend(some)

    reader = threading.Thread(target=read)
    reader.start()
    size = {"COLUMNS": str(columns), "TERM": "xterm-256color"}
    with (
        open(program, "w", encoding="utf-8") as stream,
        mock.patch.dict(os.environ, plain | size | environment, clear=True),
        redirect_stdout(stream),
        redirect_stderr(stream),
    ):
        yield shown
    reader.join()
    os.close(screen)
    shown.append(content.decode())


def in_a_terminal(*arguments: object, cwd: Path, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Run the command in this process, in a terminal. Returns its status and what it wrote."""
    with (
        terminal(columns, **environment) as shown,
        chdir(cwd),
        mock.patch.object(sys, "argv", list(map(str, ("hyperfactor", *arguments)))),
    ):
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
    return status, shown[0]


def one_line(done: subprocess.CompletedProcess[str], *words: str, status: int = 2) -> None:
    """Check the status, and that there is one line with these words and no traceback."""
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("hyperfactor: ")
    for word in words:
        assert word in done.stderr
