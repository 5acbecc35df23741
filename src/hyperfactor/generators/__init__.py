"""Generators draw pictures. Each module registers its kind of generator when it is imported."""

from hyperfactor.generators.base import Generator, ModelSpec
from hyperfactor.generators.decoder import Decoder, DecoderSpec, PerceptronSpec
from hyperfactor.generators.denoiser import TIME_CODE, Denoiser, UNetSpec
from hyperfactor.generators.gan import GAN, GANSpec
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.generators.transformer import TransformerSpec
from hyperfactor.generators.vae import VAE, VAESpec

__all__ = [
    "GAN",
    "TIME_CODE",
    "VAE",
    "Decoder",
    "DecoderSpec",
    "Denoiser",
    "DiffusionSpec",
    "GANSpec",
    "Generator",
    "ModelSpec",
    "PerceptronSpec",
    "SamplingSpec",
    "TransformerSpec",
    "UNetSpec",
    "VAESpec",
]
