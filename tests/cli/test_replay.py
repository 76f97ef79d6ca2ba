"""What `longtake replay` loads the model with: as it was recorded, but for what is given."""

from pathlib import Path
from typing import Any

import pytest

from longtake.protocol.messages import ModelInfo
from longtake.runtime.cli import replay
from longtake.runtime.cli.main import build_parser
from longtake.runtime.cli.usage import UsageError
from longtake.runtime.takes.file import FORMAT, TakeHeader, decode_record, encode_record


def header(model: str = "longlive-1.3b", **options: str) -> TakeHeader:
    info = ModelInfo(
        name=model, height=64, width=96, fps=16, block_frames=12, first_block_frames=9, window_blocks=4
    )  # fmt: skip
    return TakeHeader(format=FORMAT, world="w1", model=info, seed=7, prompt="a fox", options=options)


def options(header: TakeHeader, *given: str) -> dict[str, str]:
    parsed: Any = build_parser("replay").parse_args(["replay", "x.take", *given])
    return replay.model_options(parsed, header)


def test_the_recorded_options_are_used_and_a_flag_takes_the_place_of_one() -> None:
    recorded = header(random_weights="tiny", linear="int8", seed="3")
    assert options(recorded) == {"random_weights": "tiny", "linear": "int8", "seed": "3"}
    assert options(recorded, "--linear", "plain", "--option", "positions=relative") == {
        "random_weights": "tiny",
        "linear": "plain",
        "seed": "3",
        "positions": "relative",
    }


def test_other_weights_take_the_place_of_the_recorded_ones(tmp_path: Path) -> None:
    assert options(header(random_weights="tiny"), "--weights", str(tmp_path)) == {"folder": str(tmp_path)}
    assert options(header(folder=str(tmp_path)), "--random-weights", "tiny") == {"random_weights": "tiny"}
    assert options(header(folder=str(tmp_path))) == {"folder": str(tmp_path)}


def test_weights_that_are_not_here_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere, which is not here; name them: --weights DIR"):
        options(header(folder=str(tmp_path / "nowhere")))


def test_a_take_that_was_recorded_before_options_were_is_read() -> None:
    line = encode_record(header("diorama")).rstrip(b"\n")
    assert b"options" not in line
    read = decode_record(line)
    assert isinstance(read, TakeHeader)
    assert options(read) == {}
