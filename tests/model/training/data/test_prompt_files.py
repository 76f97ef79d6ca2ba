"""Prompt files."""

from pathlib import Path

import pytest

from longtake.model.errors import TrainingError
from longtake.model.training.data.prompt_files import PromptPair, read_pairs, read_prompts, shuffled


def test_lines_pair_with_lines(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("a fox\n a boat \n\n")
    second.write_text("the fox runs\nthe boat sinks\n")
    assert read_pairs(first) == [PromptPair("a fox"), PromptPair("a boat")]
    assert read_pairs(first, second)[1] == PromptPair("a boat", "the boat sinks")
    second.write_text("the fox runs\n")
    with pytest.raises(TrainingError, match=r"2 prompts and .*b.txt has 1"):
        read_pairs(first, second)


@pytest.mark.parametrize(("content", "said"), [(b"", "no prompts"), (b"a\n\nb", "line 2 is empty"), (b"\xff", "UTF-8")])
def test_what_is_no_prompt_file_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=said) as caught:
        read_prompts(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(TrainingError, match="cannot be read"):
        read_prompts(tmp_path / "missing.txt")


def test_every_prompt_comes_once_an_epoch_in_another_order() -> None:
    epochs = [[shuffled(5 * epoch + place, 5, seed=3) for place in range(5)] for epoch in range(6)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
