"""Generators draw pictures. Each module registers its kind of generator when it is imported."""

from hyperfactor.generators import decoder, denoiser

__all__ = ["decoder", "denoiser"]
