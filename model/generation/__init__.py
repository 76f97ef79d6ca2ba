"""The generator: from prompts and noise to blocks of frames."""
