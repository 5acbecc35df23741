"""Which exceptions are faults of the machine, and the exit status of each."""

import errno
import os
from unittest import mock

import numpy as np
import pytest
import torch

from hyperfactor import BusyError, HyperfactorError, MachineError, RequestError, StoreError, cli
from hyperfactor.errors import RunError, WriteError, machine_fault


def raised(action) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        action()
    return caught.value


@pytest.mark.parametrize(
    "too_much",
    [lambda: np.empty(2**56), lambda: torch.empty(2**50), lambda: bytearray(2**60)],
    ids=["numpy", "torch", "python"],
)
def test_memory_that_ran_out_is_a_fault_of_the_machine(too_much):
    """The real exceptions of numpy, torch and Python, for requests beyond any address space."""
    fault = machine_fault(raised(too_much))
    assert isinstance(fault, MachineError)
    assert str(fault).startswith("out of memory")
    assert len(str(fault).splitlines()) == 1


def test_the_amount_is_said_where_it_is_known():
    assert "(the request of 512. PiB was refused)" in str(machine_fault(raised(lambda: np.empty(2**56))))
    gpu = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")
    assert "(the request of 2.00 GiB was refused)" in str(machine_fault(gpu))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.ESTALE])
def test_a_disk_that_fails_is_a_fault_of_the_machine(number: int):
    fault = machine_fault(OSError(number, os.strerror(number), "a/file"))
    assert isinstance(fault, MachineError)
    assert not isinstance(fault, RequestError)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shapes differ"), ValueError("no"), KeyError("x"), FileNotFoundError(errno.ENOENT, "No such file")],
)
def test_bugs_and_wrong_names_are_no_faults_of_the_machine(error: Exception):
    assert machine_fault(error) is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestError("a"), 2), (StoreError("a"), 2), (WriteError("a"), 2), (MachineError("a"), 1), (BusyError("a"), 1),
        (RunError("a"), 1), (MemoryError(), 1), (OSError(errno.ENOSPC, "No space left on device"), 1),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 96 bytes."), 1),
    ],
)  # fmt: skip
def test_the_command_line_says_one_line_and_the_status(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
):
    with mock.patch("typer.main.get_command", side_effect=error), pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == status
    said = capsys.readouterr().err
    assert said.startswith("hyperfactor: ")
    assert len(said.splitlines()) == 1


def test_a_bug_is_not_hidden():
    with mock.patch("typer.main.get_command", side_effect=RuntimeError("shapes differ")), pytest.raises(RuntimeError):
        cli.main()


def test_every_exception_has_the_base():
    assert all(issubclass(kind, HyperfactorError) for kind in (BusyError, MachineError, RequestError, RunError))
