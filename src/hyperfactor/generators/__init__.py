"""Generators draw pictures. Each module registers its kind of generator when it is imported."""

from hyperfactor.generators.base import Generator, ModelSpec
from hyperfactor.generators.decoder import Decoder, DecoderSpec, PerceptronSpec
from hyperfactor.generators.denoiser import TIME_CODE, Denoiser, UNetSpec
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.generators.transformer import TransformerSpec

__all__ = [
    "TIME_CODE",
    "Decoder",
    "DecoderSpec",
    "Denoiser",
    "DiffusionSpec",
    "Generator",
    "ModelSpec",
    "PerceptronSpec",
    "SamplingSpec",
    "TransformerSpec",
    "UNetSpec",
]
