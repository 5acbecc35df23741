"""Sealed tensors: a file in the format of safetensors, with a hash of its content."""

import hashlib
import json
from typing import TYPE_CHECKING

from pydantic_core import from_json

if TYPE_CHECKING:  # torch takes seconds to import, and listing a store does not need it
    from torch import Tensor


def seal(tensors: "dict[str, Tensor]", text: dict[str, str]) -> bytes:
    """The content of a file with tensors, texts, and a seal over both."""
    from safetensors.torch import save

    tensors = _apart({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
    return save(tensors, metadata={**text, "seal": _hash(tensors, text)})


def _apart(tensors: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Copy each tensor that is the same as one before, such as the weight of two layers: a file has no references."""
    seen, found = set(), {}
    for name, value in tensors.items():
        found[name] = value.clone() if value.data_ptr() in seen else value
        seen.add(value.data_ptr())
    return found


def unseal(content: bytes) -> "tuple[dict[str, Tensor], dict[str, str]]":
    """The tensors and texts of a sealed file. Raises `ValueError` if they differ from what was sealed."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        text = dict(from_json(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {}))
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from None
    if text.pop("seal", None) != _hash(tensors, text):
        raise ValueError("got tensors that differ from its seal")
    return tensors, text


def _hash(tensors: "dict[str, Tensor]", text: dict[str, str]) -> str:
    """A hash of the names, types, shapes and values of tensors, and of the texts."""
    found = hashlib.sha256(json.dumps(text, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        found.update(f"{name}:{value.dtype}:{tuple(value.shape)}:".encode())
        found.update(value.reshape(-1).numpy().tobytes())
    return found.hexdigest()
