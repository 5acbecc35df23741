import threading

import pytest

from hyperfactor.runs.aside import aside


def test_a_call_is_not_waited_for_and_there_is_one_at_a_time():
    may_end, order = threading.Event(), []

    def write(name: str) -> None:
        order.append(f"{name} begins")
        assert may_end.wait(10)
        order.append(f"{name} ends")

    with aside(write) as save:
        save("a")  # returns although the call cannot end
        assert "a ends" not in order
        may_end.set()
        save("b")  # waits for a
        assert order[:2] == ["a begins", "a ends"]
    assert order == ["a begins", "a ends", "b begins", "b ends"]


def test_an_error_is_raised_by_the_next_call():
    def write(number: int) -> None:
        calls.append(number)
        raise OSError("disk full")

    def twice() -> None:
        with aside(write) as save:
            save(1)
            save(2)

    calls: list[int] = []
    with pytest.raises(OSError, match="disk full"):
        twice()
    assert calls == [1]


def test_an_error_of_the_last_call_is_raised_at_the_end():
    def write() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), aside(write) as save:
        save()


def test_a_block_that_fails_waits_for_its_last_call_and_raises_its_own_error():
    done = []

    def write() -> None:
        done.append(True)
        raise OSError("disk full")

    def stopped() -> None:
        with aside(write) as save:
            save()
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        stopped()
    assert done == [True]
