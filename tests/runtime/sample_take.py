"""A short take for tests of files and recorders."""

from fakes import FakeModel

from longtake.runtime.takes.file import FORMAT, TakeBlock, TakeCue, TakeHeader, TakeReset

HEADER = TakeHeader(format=FORMAT, world="w1", model=FakeModel().announced, seed=7, prompt="a red balloon")
RECORDS = [
    TakeBlock(block=0, digest="00" * 16),
    TakeCue(cue=1, block=1, tick=4, kind="event", label="night", prompt="a red balloon, at night"),
    TakeBlock(block=1, digest="11" * 16, prompt="a red balloon, at night"),
    TakeReset(generation=1, seed=8, prompt="a red balloon, at night"),
    TakeBlock(block=0, digest="22" * 16),
]
