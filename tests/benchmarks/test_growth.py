"""Exponents, the table and the picture of growth."""

import pytest

from benchmarks.growth import SERIES, Measured, figure, forked, line, markdown
from hyperfactor.figures import style

CUBIC = Measured("a thing", "size (m)", [1, 2, 4, 8], [5.0, 16.0, 128.0, 1024.0], [None, 4.0, 4.0, 4.0])


def test_the_exponent_is_that_of_the_three_largest_sizes():
    found = line(CUBIC.sizes, CUBIC.seconds)
    assert found == pytest.approx((3.0, 2.0))
    assert line(CUBIC.sizes, CUBIC.megabytes) == pytest.approx((0.0, 4.0))


def test_too_few_values_have_no_exponent():
    assert line([1, 2], [1.0, 2.0]) is None
    assert line([1, 2, 4], [None, 2.0, 4.0]) is None


def test_the_table_has_the_ends_and_the_exponents():
    row = markdown([CUBIC]).splitlines()[-1]
    assert row == "| a thing | size (m) | 1 to 8 | 5 to 1.02e+03 | 3.00 | < 1 to 4 | 0.00 |"


@pytest.mark.parametrize("memory", [[None] * 4, [1.0, 2.0, 3.0, 4.0]])
def test_the_picture_has_a_panel_for_time_and_one_for_memory(memory: list[float | None]):
    drawn = figure([CUBIC, Measured("b", "size", [1, 2, 4, 8], [1.0] * 4, memory)])
    assert [" ".join(axes.get_ylabel().split()) for axes in drawn.axes] == ["time (s)", "memory (MB)"] * 2
    assert style.save(drawn, "svg").startswith(b"<?xml")


def test_a_forked_job_gives_its_result_or_an_error():
    assert forked(lambda: 2 + 3) == 5
    with pytest.raises(RuntimeError, match="a measurement failed"):
        forked(lambda: exit(3))


def test_sizes_grow():
    assert all(list(series.sizes) == sorted(series.sizes) for series in SERIES)
