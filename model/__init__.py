"""The world models: transformer, cache, sampler, diorama and LongLive, training and evaluation."""

__version__ = "0.1.0"
"""the same as in `longtake.protocol.version`, which this package may not import; a test compares them"""
