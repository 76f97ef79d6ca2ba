"""The generator, which turns prompts and noise into blocks of frames."""
