"""LongLive-1.3B: the public checkpoint's files, its text encoder and its decoders, around our generator."""
