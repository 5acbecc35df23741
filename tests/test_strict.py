import json
import math
from typing import Literal

import pytest
from pydantic import Field

from hyperfactor.errors import RequestError
from hyperfactor.strict import Integer, Open, Strict, changes, dump_json, finite


class Shape(Open):
    """A section of two kinds."""

    tag = "form"


class Disc(Shape):
    form: Literal["disc"] = "disc"
    radius: Integer = Field(default=1, ge=1)


class Group(Shape):
    form: Literal["group"] = "group"
    of: tuple[Shape, ...] = ()
    named: dict[str, Shape] = {}


class Scene(Strict):
    shape: Shape = Disc(radius=2)
    title: str = "none"


def refuse(constant: str) -> None:
    raise ValueError(constant)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null_wherever_it_stands(value: float):
    data = {
        "a": value,
        "b": [1, value, {"c": (value, 2.5)}],
        "d": {"e": value},
        "f": True,
        "g": None,
        "h": "NaN",
        "i": 3,
    }
    again = json.loads(dump_json(data), parse_constant=refuse)
    assert again == {
        "a": None, "b": [1, None, {"c": [None, 2.5]}], "d": {"e": None}, "f": True, "g": None, "h": "NaN", "i": 3,
    }  # fmt: skip
    assert finite(data)["f"] is True


def test_finite_numbers_come_back_to_the_bit():
    values = [0.1, 1e-310, 1.7976931348623157e308, -0.0, 2**70]
    again = json.loads(dump_json(values, indent=1, sort_keys=True))
    assert list(map(repr, again)) == list(map(repr, values))


def test_a_kind_is_read_by_its_tag_and_written_whole():
    data = {"shape": {"form": "group", "of": [{"form": "disc", "radius": 3}], "named": {"a": {"form": "disc"}}}}
    scene = Scene.parse(data)
    assert scene.shape == Group(of=(Disc(radius=3),), named={"a": Disc()})
    assert Scene.parse(scene.model_dump(mode="json")) == scene
    assert Scene.model_validate_json(scene.model_dump_json()) == scene
    assert Shape.parse({"form": "disc"}) == Disc()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"form": "group", "of": [{"form": "disc", "radius": 0}]}, "shape.of.0.radius: got 0, needs an integer of at"),
        (
            {"form": "group", "named": {"b": {"form": "cube"}}},
            "shape.named.b.form: got 'cube', needs one of 'disc', 'gro",
        ),
        ({"radius": 2}, "shape: got {'radius': 2}, needs a key 'form'"),
        ({"form": "disc", "side": 2}, "shape: got an unknown key 'side', needs one of form, radius"),
        ({"form": ["disc"]}, "shape.form: got"),
        ("disc", "shape: got 'disc', needs a mapping"),
        (None, "shape: got None, needs a mapping"),
    ],
)
def test_a_mistake_within_a_kind_is_told_with_its_place(given: object, line: str):
    with pytest.raises(RequestError) as caught:
        Scene.parse({"shape": given})
    assert str(caught.value).startswith(line)


def test_a_class_registers_its_kind_and_no_other_class_takes_its_name():
    class Square(Shape):
        form: Literal["square"] = "square"

    try:
        assert type(Scene.parse({"shape": {"form": "square"}}).shape) is Square
        with pytest.raises(RequestError, match="Other.form: got 'square', which is .*Square, needs another name"):

            class Other(Shape):
                form: Literal["square"] = "square"
    finally:
        del Shape.kinds["square"]
    with pytest.raises(RequestError, match="needs one of 'disc', 'group'"):
        Shape.parse({"form": "square"})


def test_only_what_differs_from_the_defaults_is_a_change():
    assert changes(Scene(), Scene()) == {}
    assert changes(Scene(shape=Disc(radius=2)), Scene()) == {}
    assert changes(Scene(shape=Disc(radius=1)), Scene()) == {"shape": {"radius": 1}}
    assert changes(Scene(shape=Group()), Scene()) == {"shape": {"form": "group"}}
    named = Scene(shape=Group(named={"a": Disc()}, of=(Group(), Disc(radius=5))), title="x")
    assert changes(named, Scene()) == {
        "shape": {
            "form": "group",
            "of": [{"form": "group"}, {"form": "disc", "radius": 5}],
            "named": {"a": {"form": "disc"}},
        },
        "title": "x",
    }


def test_a_new_key_with_a_default_is_no_change():
    class Later(Scene):
        size: Integer = 32

    assert changes(Later(title="x"), Later()) == changes(Scene(title="x"), Scene())
    assert changes(Later(size=16), Later()) == {"size": 16}
