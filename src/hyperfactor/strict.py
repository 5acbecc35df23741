"""The base classes of all sections of a spec, their error messages of one line, and strict JSON."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    GetCoreSchemaHandler,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from hyperfactor.errors import RequestError, quoted

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


def _plain(value: Any) -> Any:
    """A value of numpy as a value of Python. float32(0.1) becomes the number that it holds, 0.10000000149011612."""
    np = sys.modules.get("numpy")  # a value of numpy exists only if numpy is imported; listing a store does not need it
    if np is None or not isinstance(value, np.ndarray | np.generic):
        return value
    plain = value.tolist()
    return float(plain) if isinstance(plain, np.generic) else plain  # `tolist` leaves a longdouble as it is


def _whole(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, bool | str | bytes):
        raise PydanticKnownError("int_type")
    return value


def _real(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, bool | str | bytes):
        raise PydanticKnownError("float_type")
    return value


# Numbers of a spec. Text and truth values are refused. -0.0 becomes 0.0, so that equal numbers have equal ids.
Integer = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_real), AfterValidator(lambda value: value + 0.0)]


# Tags for a field that takes one value for all factors, or a mapping from names of factors to values. The type of such
# a field is Annotated[Annotated[T, EACH] | Annotated[dict[str, T], NAMED], BY_NAME].
EACH, NAMED = Tag("<each>"), Tag("<named>")
BY_NAME = Discriminator(lambda value: (NAMED if isinstance(value, Mapping) else EACH).tag)


class _Called(ModelMetaclass):
    """Turns the validation error of a direct call into a `RequestError`. Nested sections do not pass here."""

    def __call__(self, *args: Any, **values: Any) -> Any:
        try:
            return super().__call__(*args, **values)
        except ValidationError as error:
            raise RequestError(one_line(error)) from None


class Strict(BaseModel, metaclass=_Called):
    """A section of a spec: a frozen pydantic model that refuses unknown keys, infinities and NaN.

    Values of numpy are converted to values of Python. Invalid values raise `RequestError`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := [key for key in data if key not in cls.model_fields]):
            raise ValueError(f"got an unknown key {quoted(unknown[0])}, needs one of {', '.join(cls.model_fields)}")
        return {key: _plain(value) for key, value in data.items()} if isinstance(data, dict) else data

    def __iter__(self) -> Iterator[tuple[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The pairs of key and value. `dict(section)` therefore leaves out cached properties."""
        yield from ((name, getattr(self, name)) for name in type(self).model_fields)

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Validate plain data.

        Parameters
        ----------
        data : mapping
            Keys and values of the section, as read from YAML or JSON.

        Returns
        -------
        Strict
            The section.

        Raises
        ------
        RequestError
            If a key is unknown or missing, or a value is invalid. The message has one line.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise RequestError(one_line(error)) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A validated copy with changed keys.

        Parameters
        ----------
        update : mapping, optional
            The changed keys with their values.
        deep : bool
            Whether values are copied too, if no key is changed.

        Returns
        -------
        Strict
            The copy.

        Raises
        ------
        RequestError
            If a key is unknown or a value is invalid.
        """
        if not update:
            return super().model_copy(deep=deep)
        return self.parse({**dict(self), **update})


_READ: ContextVar[frozenset[int]] = ContextVar("read", default=frozenset())  # `id` of the data being read


class Open(Strict):
    """A section of several kinds, to which any program can add a kind.

    A direct subclass of `Open` is the section, and can be the type of a field. It reads data as the kind that the field
    named by `tag` gives. A subclass of the section becomes a kind by giving this field a default:

        class Region(Open): ...
        class Ring(Region):
            kind: Literal["ring"] = "ring"

    Attributes
    ----------
    tag : str
        Name of the field that names the kind.
    usual : str or None
        The kind of data without a tag. None: the tag is required.
    kinds : dict of str to type
        The class of each kind, by name.
    """

    tag: ClassVar[str] = "kind"
    usual: ClassVar[str | None] = None
    kinds: ClassVar[dict[str, type["Open"]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if Open in cls.__bases__:
            cls.kinds = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        if cls.tag in cls.model_fields and isinstance(name := cls.model_fields[cls.tag].default, str):
            known = cls.kinds.get(name, cls)
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise RequestError(
                    f"{cls.__name__}.{cls.tag}: got {name!r}, which is {known.__module__}.{known.__qualname__}, "
                    "needs another name"
                )
            cls.kinds[name] = cls

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        if "kinds" not in vars(cls):
            return schema
        as_is = core_schema.wrap_serializer_function_ser_schema(
            lambda value, serialize: serialize(value), schema=core_schema.any_schema()
        )
        return core_schema.no_info_before_validator_function(cls._read, schema, serialization=as_is)

    @classmethod
    def _read(cls, data: Any) -> Any:
        """Read data as the kind that it names."""
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            raise PydanticKnownError("model_type", {"class_name": cls.__name__})
        name = data.get(cls.tag, cls.usual)
        if name is None:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": cls.tag})
        if not isinstance(name, str) or name not in cls.kinds:
            known = ", ".join(repr(kind) for kind in cls.kinds)
            raise PydanticKnownError(
                "union_tag_invalid", {"discriminator": cls.tag, "tag": str(name), "expected_tags": known}
            )
        if id(data) in (within := _READ.get()):
            raise PydanticKnownError("recursion_loop")
        token = _READ.set(within | {id(data)})
        try:
            return cls.kinds[name].model_validate({cls.tag: name, **data})
        finally:
            _READ.reset(token)


def changes(value: Any, default: Any) -> Any:
    """The part of a value that differs from its default, as plain data.

    Parameters
    ----------
    value : Any
        A section of a spec, or a value in it.
    default : Any
        The default of this value.

    Returns
    -------
    Any
        For a section: the keys that differ from those of the default. For a section of another kind than the default:
        its tag, and the keys that differ from the defaults of its own kind. Any other value is returned as plain data.
    """
    if isinstance(value, Mapping):
        return {name: changes(part, None) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [changes(part, None) for part in value]
    if not isinstance(value, Strict):
        return value
    same = type(value) is type(default)
    found = {value.tag: getattr(value, value.tag)} if isinstance(value, Open) and not same else {}
    for name, field in type(value).model_fields.items():
        given, usual = getattr(value, name), getattr(default, name) if same else field.get_default()
        if given != usual:
            found[name] = changes(given, usual)
    return found


def leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested data with their dotted keys, such as `training.steps`."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def finite(data: Any) -> Any:
    """Return plain data with None for NaN and infinities, which JSON cannot express, and plain numbers for numpy's."""
    match data:
        case float():
            return data if math.isfinite(data) else None
        case dict():
            return {key: finite(value) for key, value in data.items()}
        case list() | tuple():
            return [finite(value) for value in data]
        case _:
            return finite(data.item()) if getattr(data, "ndim", None) == 0 else data


def dump_json(data: Any, indent: int | None = None, sort_keys: bool = False) -> str:
    """Write standard JSON, which has no NaN or infinities.

    Parameters
    ----------
    data : Any
        Mappings, lists, text, numbers, truth values and None. A number that is not finite becomes null.
    indent : int, optional
        Blanks by which each level is indented. Default: the whole text on one line.
    sort_keys : bool
        Whether to sort the keys.

    Returns
    -------
    str
        The JSON text.
    """
    return json.dumps(finite(data), indent=indent, sort_keys=sort_keys, allow_nan=False)


def one_line(error: ValidationError) -> str:
    """The mistakes that a validation found, in one line: `where: got what, needs what is allowed; ...`."""
    return "; ".join(_clause(dict(details)) for details in error.errors(include_url=False))


def _clause(error: dict[str, Any]) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    where = ".".join(str(part) for part in error["loc"] if part not in (EACH.tag, NAMED.tag)) or "spec"
    tag = str(context.get("discriminator", "kind")).strip("'")
    if kind == "missing":
        return f"{where}: got nothing, needs a value"
    if kind == "union_tag_not_found":
        return f"{where}: got {quoted(given)}, needs a key {tag!r}"
    if kind == "union_tag_invalid":
        known = context["expected_tags"]
        own = "a kind of your own (hyperfactor --import FILE.py ...)"
        return f"{where}.{tag}: got {context['tag']!r}, needs one of {known}, or {own}"
    number = "an integer" if any(isinstance(bound, int) for bound in context.values()) else "a number"
    needs = {
        "greater_than_equal": number + " of at least {ge:g}",
        "greater_than": number + " above {gt:g}",
        "less_than_equal": number + " of at most {le:g}",
        "less_than": number + " below {lt:g}",
        "multiple_of": number + " that is a multiple of {multiple_of:g}",
        "literal_error": "one of {expected}",
        "int_parsing": "an integer",
        "int_type": "an integer",
        "int_from_float": "an integer",
        "float_parsing": "a number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_parsing": "true or false",
        "string_type": "text",
        "tuple_type": "a list",
        "model_type": "a mapping of keys to values",
        "model_attributes_type": "a mapping of keys to values",
        "dict_type": "a mapping of keys to values",
        "recursion_loop": "a value that is not within itself",
        "too_short": "at least {min_length} entries",
        "too_long": "at most {max_length} entries",
    }.get(kind)
    if needs is None:  # one of our own validators, whose message is complete
        return f"{where}: {error['msg'].removeprefix('Value error, ')}"
    needs = needs.format(**context)
    return f"{where}: got {quoted(given)}, needs {needs}"
