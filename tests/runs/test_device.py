"""What fits on a GPU, and torch's settings there. No GPU is needed."""

import os
import threading
from typing import Any
from unittest import mock

import pytest
import torch

from hyperfactor import RunSpec
from hyperfactor.runs import cluster, device, sweep
from hyperfactor.runs.cost import memory
from hyperfactor.runs.device import CONTEXT, LARGEST, at_once, cards, exact, fitting, processes, repeatable

GB = 10**9


@pytest.mark.parametrize(
    ("each", "free", "count"),
    [
        (GB, 80 * GB, 16),  # a quarter of the memory is 20 pictures
        (GB, 64 * GB, 16),
        (GB, 63 * GB, 8),
        (10**6, 80 * GB, LARGEST),
        (80 * GB, GB, 1),
        (GB, 0, 1),
        (0, GB, LARGEST),  # a network that keeps nothing
    ],
)
def test_as_many_pictures_are_drawn_as_a_share_of_the_free_memory_holds(each, free, count):
    assert fitting(each, free) == count


def test_on_the_cpu_the_network_is_not_called_to_measure_it():
    cpu, never = torch.device("cpu"), lambda: pytest.fail("called")
    assert [at_once(cpu, side**2, never) / device.BATCH for side in (64, 32, 24, 16)] == [1, 1, 1, 4]


def test_memory_that_torch_has_reserved_is_free():
    gpu = torch.device("cuda")
    with (
        mock.patch("torch.cuda.mem_get_info", return_value=(24 * GB, 80 * GB)),
        mock.patch("torch.cuda.memory_reserved", return_value=50 * GB),
        mock.patch("torch.cuda.memory_allocated", return_value=10 * GB),
    ):
        assert at_once(gpu, 1024, lambda: GB) == 16


@pytest.mark.parametrize(
    ("free", "needed", "cores", "count"),
    [
        ([80 * GB], GB, 16, 16),  # a core each
        ([80 * GB], 8 * GB, 16, 8),  # 72 GB hold 8 of 9 GB
        ([80 * GB, 20 * GB], 8 * GB, 16, 4),  # equally many on each card, as the smaller one holds
        ([80 * GB] * 4, GB, 2, 4),  # one a card, although there are fewer cores
        ([CONTEXT], 80 * GB, 16, 1),
    ],
)
def test_as_many_processes_train_as_have_memory_and_a_core(free, needed, cores, count):
    assert processes(free, needed, cores) == count


def test_workers_take_turns_on_the_cards_that_this_process_sees():
    with mock.patch("torch.cuda.device_count", return_value=2), mock.patch.dict(os.environ):
        for visible, names in ((None, "01010"), ("", "01010"), ("3, 1", "31313"), ("0,1,2", "01010"), ("7", "01010")):
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
            if visible is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = visible
            extras = cluster._extras(5, gpu=True)
            assert "".join(one["env"]["CUDA_VISIBLE_DEVICES"] for one in extras) == names
            assert all(one["resources"] == {"GPU": 1} for one in extras)
    assert cluster._extras(3, gpu=False) == [{}, {}, {}]
    assert cards("GPU-a,GPU-b", 2) == ["GPU-a", "GPU-b"]


def test_the_number_of_workers_follows_the_run_that_needs_most(tiny: RunSpec):
    many = RunSpec.parse({"training": {"batch": 4096, "steps": 1}})
    room = [int((CONTEXT + memory(many).total) * 3.5)]
    with mock.patch.object(sweep, "free_memory", return_value=room), mock.patch("os.cpu_count", return_value=64):
        assert sweep._workers([tiny, many], gpu=True) == 3
        assert sweep._workers([tiny], gpu=True) > 3
        assert sweep._workers([tiny, many], gpu=False) == 64


def settings() -> tuple[Any, ...]:
    deterministic: Any = torch.utils.deterministic
    backends: Any = torch.backends
    return (
        backends.cudnn.conv.fp32_precision,
        backends.cuda.matmul.fp32_precision,
        torch.are_deterministic_algorithms_enabled(),
        deterministic.fill_uninitialized_memory,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )


def test_settings_hold_within_the_block_and_come_back():
    before = settings()
    with exact():
        assert settings() == ("ieee", "ieee", *before[2:])
    with repeatable():
        assert settings()[2:] == (True, False, before[4] or ":4096:8")
        assert settings()[:2] == before[:2]
    with pytest.raises(KeyError), exact(), repeatable():
        raise KeyError
    assert settings() == before
    assert torch.backends.cudnn.allow_tf32  # torch still answers to its older names
    assert not torch.backends.cuda.matmul.allow_tf32


def test_settings_come_back_when_the_last_of_several_threads_has_left():
    before, entered, leave = settings(), threading.Event(), threading.Event()

    def other() -> None:
        with exact():
            entered.set()
            assert leave.wait(10)

    thread = threading.Thread(target=other)
    with exact():
        thread.start()
        assert entered.wait(10)
    assert settings()[0] == "ieee"  # the other thread is still within its block
    leave.set()
    thread.join()
    assert settings() == before
