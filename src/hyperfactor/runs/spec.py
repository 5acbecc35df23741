"""RunSpec: everything that determines a run, and nothing else.

Paths, the device and the number of workers are not part of it, so the same spec has the same id everywhere. The
defaults are the `laptop` preset. The id is a hash of what differs from the defaults, so a new key with a default
changes no id.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self, cast

import yaml
from pydantic import Field, model_validator

from hyperfactor.errors import RequestError
from hyperfactor.factors.encoding import Encoding, Sinusoidal
from hyperfactor.generators.base import ModelSpec
from hyperfactor.generators.denoiser import USUAL
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.images.task import TRAIN, DataSpec, Task
from hyperfactor.store.named import named_path
from hyperfactor.strict import Integer, Strict, changes
from hyperfactor.training.loop import TrainingSpec

SCHEMA = 4  # part of every id; raise it when the same spec no longer means the same run


@lru_cache(maxsize=2)
def _task(data: str, encoding: str, seed: int) -> Task:
    """The task of these sections. Equal specs, such as those read again for the same run, share one task."""
    return Task(DataSpec.model_validate_json(data), Encoding.model_validate_json(encoding), seed)


class RunSpec(Strict):
    """A run: its data, its model, how the model is trained and draws, and the seed.

    Attributes
    ----------
    seed : int
        Seed of all random numbers of the run, 0 <= seed < 2^32.
    data : DataSpec
        What is drawn, trained on and tested.
    encoding : Encoding
        How factor values become conditions.
    model : ModelSpec
        The generator.
    diffusion : DiffusionSpec
        The path from pictures to noise, the prediction, and the weights of the loss.
    training : TrainingSpec
        How the model is trained.
    sampling : SamplingSpec
        How the model draws.
    """

    seed: Integer = Field(default=0, ge=0, lt=2**32)
    data: DataSpec = DataSpec()
    encoding: Encoding = Sinusoidal()
    model: ModelSpec = USUAL
    diffusion: DiffusionSpec = DiffusionSpec()
    training: TrainingSpec = TrainingSpec()
    sampling: SamplingSpec = SamplingSpec()

    @model_validator(mode="after")
    def _sections_fit_together(self):
        try:
            self.data.picture.check(self.task.points)
        except RequestError as error:
            raise ValueError(f"data.spacing: the training region: {error}") from None
        for name in (TRAIN, *self.data.test):
            try:
                self.data.picture.check(self.task.region(name))
            except RequestError as error:
                where = "data.test_spacing: the training region" if name == TRAIN else f"data.test.{name}"
                raise ValueError(f"{where}: {error}") from None
        _ = self.task.width
        self.model.check(self.data.picture.shape, self.diffusion, self.sampling)
        return self

    @cached_property
    def task(self) -> Task:
        """The resolved data: points, regions, codes and pictures."""
        return _task(self.data.model_dump_json(), self.encoding.model_dump_json(), self.seed)

    @property
    def id(self) -> str:
        """A hash of what differs from the defaults and of SCHEMA, as 16 hexadecimal digits."""
        content = json.dumps(changes(self, type(self).model_construct()), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"{SCHEMA}:{content}".encode()).hexdigest()[:16]

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a spec from a YAML file.

        Parameters
        ----------
        path : str or Path
            The file.
        overrides : sequence of str
            Changes of keys, such as "training.steps=100".

        Returns
        -------
        RunSpec
            The spec.

        Raises
        ------
        RequestError
            If the file cannot be read, is not valid YAML, has an unknown key, or a value is invalid.
        """
        return cls.parse(override(read_yaml(path), overrides))


def _tag(kind: str) -> str:
    return f"tag:yaml.org,2002:{kind}"


def _integer(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


class _Loader(yaml.SafeLoader):
    """YAML 1.2 (core schema) with anchors and `<<` merge keys. Repeated keys are refused.

    PyYAML reads YAML 1.1, where 010 is 8, 1:30 is 90, 1_000 is 1000, yes is true, and 1e-3 is text.
    """

    yaml_implicit_resolvers = {}  # pyright: ignore[reportIncompatibleVariableOverride]
    yaml_constructors = {  # pyright: ignore[reportIncompatibleVariableOverride]
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (None, *(_tag(kind) for kind in ("null", "str", "seq", "map")))
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _tag("merge"):
                line, first = key.start_mark.line + 1, lines.get(value := self.construct_object(key))
                if first is not None:
                    raise yaml.MarkedYAMLError(
                        problem=f"got the key {value!r} again after line {first}", problem_mark=key.start_mark
                    )
                lines[value] = line
        return node


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes wherever `_Loader` or a reader of YAML 1.1 would read something else without them."""


def _add(kind: str, pattern: str, first: str, read: Callable[[str], Any] | None = None) -> None:
    """Read plain text of this pattern as this kind of value. `first` has all characters that may begin such text."""
    for side in (_Loader, _Dumper):
        side.add_implicit_resolver(_tag(kind), re.compile(f"^(?:{pattern})$"), [*first, ""])
    if read:
        _Loader.add_constructor(_tag(kind), lambda loader, node: read(loader.construct_scalar(cast(Any, node))))


_add("null", "~|null|Null|NULL|", "~nN")
_add("bool", "true|True|TRUE|false|False|FALSE", "tTfF", lambda text: {"true": True, "false": False}[text.lower()])
_add("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _integer)
_add(
    "float",
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "-+.0123456789",
    lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
)
_add("merge", "<<", "<", str)


def parse_yaml(text: str, where: str) -> Any:
    """Read YAML 1.2.

    Parameters
    ----------
    text : str
        The YAML.
    where : str
        Its place, for the message of an error.

    Returns
    -------
    Any
        Plain data.

    Raises
    ------
    RequestError
        If the text cannot be read. The message names the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    except (ValueError, KeyError) as error:  # a wrong number or truth value with an explicit tag
        line, problem = "", f"got {error}"
    except RecursionError:
        line, problem = "", "got lists or mappings too deep within each other"
    raise RequestError(f"{where}{line}: {problem}, needs valid YAML")


def dump_yaml(data: Any) -> str:
    """Write plain data as YAML that `parse_yaml` reads as the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises `RequestError` if the file cannot be read or is not a mapping."""
    try:
        text = named_path(path, "file").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: {getattr(error, 'strerror', None) or error}, needs a YAML file") from None
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise RequestError(f"{path}: got {type(data).__name__}, needs a mapping of keys to values")
    return data


def override(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Change keys of plain data.

    Parameters
    ----------
    data : mapping
        A spec as plain data.
    overrides : sequence of str
        Changes such as "training.steps=100", with values in YAML.

    Returns
    -------
    dict
        A changed copy.

    Raises
    ------
    RequestError
        If a change cannot be read.
    """
    changed = dict(data)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise RequestError(f"override: got {text!r}, needs key=value, such as training.steps=100")
        changed = set_key(changed, key, parse_yaml(value, key))
    return changed


def set_key(data: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Set one key of plain data.

    Parameters
    ----------
    data : mapping
        A spec as plain data.
    key : str
        A dotted key, such as "training.steps". Missing sections are added.
    value : Any
        Its new value.

    Returns
    -------
    dict
        A changed copy.

    Raises
    ------
    RequestError
        If the key is malformed, or lies below a key that is not a section.
    """
    if not isinstance(key, str) or not all(key.split(".")):
        raise RequestError(f"override: got the key {key!r}, needs one such as training.steps")
    return _set(data, key.split("."), value, key)


def _set(data: Mapping[str, Any], path: list[str], value: Any, key: str) -> dict[str, Any]:
    head, *rest = path
    if rest:
        inner = data.get(head) or {}
        if not isinstance(inner, dict):
            raise RequestError(f"override {key}: got a key below {head}, which holds {inner!r}, needs a section")
        value = _set(inner, rest, value, key)
    return {**data, head: value}
