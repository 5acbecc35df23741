"""RunSpec: everything that decides what a run is, and nothing else.

Paths, the device and the number of workers are not in it, so the same spec has the same id
everywhere.  The defaults are the `laptop` preset.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, model_validator

from hyperfactor.errors import RequestError
from hyperfactor.factors.encoding import Encoding, Sinusoidal
from hyperfactor.images.dataset import DataSpec, region_points, training_points
from hyperfactor.models.unet import UNetSpec
from hyperfactor.runs.files import named_path
from hyperfactor.strict import Strict
from hyperfactor.training.diffusion import DiffusionSpec, SamplingSpec
from hyperfactor.training.loop import TrainingSpec

SCHEMA = 2  # part of every id: raise it when the same spec no longer means the same run


class RunSpec(Strict):
    """One run: the data, the network, how it is trained and sampled, and the seed."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    data: DataSpec = DataSpec()
    encoding: Encoding = Sinusoidal()
    model: UNetSpec = UNetSpec()
    diffusion: DiffusionSpec = DiffusionSpec()
    training: TrainingSpec = TrainingSpec()
    sampling: SamplingSpec = SamplingSpec()

    @model_validator(mode="after")
    def _sections_fit_together(self):
        training_points(self.data, self.seed)
        for name, region in self.data.test.items():
            try:
                region_points(self.data, region, self.seed)
            except RequestError as error:
                raise ValueError(f"data.test.{name}: {error}") from None
        self.encoding.width(self.data.picture.space())
        self.sampling.check(self.diffusion)
        self.model.check(self.data.picture.size)
        return self

    @property
    def id(self) -> str:
        """16 hexadecimal digits: a hash of the content and of the schema's version."""
        return hashlib.sha256(f"{SCHEMA}:{self.canonical()}".encode()).hexdigest()[:16]

    def canonical(self) -> str:
        """The whole content, defaults included, as JSON with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a YAML file, then set keys as in `["training.steps=100"]`.

        Raises RequestError for a missing file, bad YAML, an unknown key or a bad value.
        """
        return cls.parse(override(read_yaml(path), overrides))


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-3 is a number, as in YAML 1.2 (PyYAML reads 1.1, where it is text)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str, where: str) -> Any:
    """Plain data from YAML; RequestError with the line where it cannot be read."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise RequestError(f"{where}{line}: {getattr(error, 'problem', error)}, needs valid YAML") from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file; RequestError where it cannot be read or holds something else."""
    try:
        text = named_path(path, "file").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: {getattr(error, 'strerror', None) or error}, needs a YAML file") from None
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise RequestError(f"{path}: got {type(data).__name__}, needs a mapping of keys to values")
    return data


def override(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The data with keys set as in `["training.steps=100"]`."""
    changed = dict(data)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not all(key.split(".")):
            raise RequestError(f"override: got {text!r}, needs key=value, such as training.steps=100")
        changed = set_key(changed, key, parse_yaml(value, key))
    return changed


def set_key(data: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The data with a dotted key set, in sections that are made where they are missing."""
    return _set(data, key.split("."), value, key)


def _set(data: Mapping[str, Any], path: list[str], value: Any, key: str) -> dict[str, Any]:
    head, *rest = path
    if rest:
        inner = data.get(head) or {}
        if not isinstance(inner, dict):
            raise RequestError(f"override {key}: got a key below {head}, which holds {inner!r}, needs a section")
        value = _set(inner, rest, value, key)
    return {**data, head: value}
