"""The version of the package. It stands here because every part may import `protocol`; the protocol has its own."""

__version__ = "0.1.0"
