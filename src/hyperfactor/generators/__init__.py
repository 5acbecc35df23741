"""What draws pictures. The kinds that specs know: each registers itself when its module is imported."""

from hyperfactor.generators import decoder, denoiser

__all__ = ["decoder", "denoiser"]
