"""The outputs of layers: see `networks.layers`."""

from hyperfactor.networks.layers import capture, check_layers, collect, size, watch

__all__ = ["capture", "check_layers", "collect", "size", "watch"]
