"""Streaming long tuning: how a take is cut, switched, recached and judged."""

from pathlib import Path
from typing import Any

import pytest
import torch

from longtake.model.errors import ConfigError
from longtake.model.generation.noise import SeededNoise
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import Conditioning
from longtake.model.training.objectives.self_forcing import Draws, Prompts
from longtake.model.training.objectives.streaming import LongTakes, StreamingConfig, Take

LIKE_DIORAMA = {"block_frames": 1, "window_frames": 5, "sink_frames": 1, "positions": "relative"}
SHORT = StreamingConfig(window_frames=9, chunk_frames=6, longest_frames=24)
LAST = 3
"""The sampler's last step."""


def prompts(small: Any, config: Any) -> Prompts:
    return Prompts(*(Conditioning(text=small.embedding(config, seed)) for seed in (1, 2)))


def take(small: Any, config: Any, **changes: Any) -> Take:
    return Take(Rollout(small.transformer(config), config), SHORT, prompts(small, config), SeededNoise([7]), **changes)


def test_a_take_is_cut_as_the_reference_cuts_it() -> None:
    config = StreamingConfig()
    assert [0, *config.starts] == [0, 21, 39, 57, 75, 93, 111, 129, 147, 165, 183, 201, 219]
    assert list(config.switches) == list(range(21, 202, 18))
    assert config.overlap_frames == 3


def test_chunks_and_windows(small: Any) -> None:
    config = small.config()
    streamed, made = take(small, config), []
    while not streamed.finished:
        made.append(streamed.next_chunk(exit_step=1, gradient=len(made) == 1))
    assert [(chunk.first_frame, chunk.latents.shape[1]) for chunk in made] == [(0, 9), (9, 6), (15, 6)]
    assert all(chunk.window.shape[1] == 9 for chunk in made)
    assert made[0].mask is None
    assert made[1].mask is not None
    assert made[1].mask[0].tolist() == [False] * 3 + [True] * 6
    assert torch.equal(made[1].window, torch.cat((made[0].latents[:, -3:], made[1].latents), dim=1))
    assert torch.equal(made[2].window[:, :3], made[1].latents[:, -3:].detach())
    assert [chunk.latents.requires_grad for chunk in made] == [False, True, False]
    # The same frames in one go.
    rollout = Rollout(small.transformer(config), config)
    world = rollout.open(streamed.prompts.first, SeededNoise([7]))
    whole = rollout.extend(world, blocks=7, exit_step=1, gradient_blocks=0)
    assert small.error(torch.cat([chunk.latents for chunk in made], dim=1), whole) < 1e-6


def test_the_first_frame_of_a_window_is_encoded_again(small: Any) -> None:
    seen = []

    def reencode(latents: torch.Tensor) -> torch.Tensor:
        seen.append(latents)
        return latents[:, -1:] * 0.75 + 0.1

    streamed = take(small, small.config(), reencode=reencode)
    first, second = (streamed.next_chunk(exit_step=0, gradient=False) for _ in range(2))
    assert len(seen) == 1
    # All that is remembered, up to the frame itself.
    assert torch.equal(seen[0], first.latents[:, :7])
    assert torch.equal(second.window[:, :1], first.latents[:, 6:7] * 0.75 + 0.1)
    assert torch.equal(second.window[:, 1:3], first.latents[:, 7:])


@pytest.mark.parametrize("recache", ["longlive", "causal"])
def test_a_switch_recaches_as_inference_does(small: Any, recache: str) -> None:
    config = small.config(recache=recache)
    given = prompts(small, config)
    streamed = take(small, config, switch_frame=15)
    made = [streamed.next_chunk(exit_step=LAST, gradient=False) for _ in range(3)]
    assert [chunk.conditioning is given for chunk in made] == [False] * 3
    assert torch.equal(made[1].conditioning.text, given.first.text)
    assert given.second is not None
    assert torch.equal(made[2].conditioning.text, given.second.text)
    generator = small.generator(config)
    world = generator.open(seed=7, embedding=given.first.text)
    blocks = [generator.step(world).latents for _ in range(5)]
    generator.cue(world, embedding=given.second.text)
    blocks += [generator.step(world).latents for _ in range(2)]
    assert small.error(torch.cat([chunk.latents for chunk in made], dim=1), torch.cat(blocks, dim=1)) < 1e-5


def test_turns_take_the_chunks_of_one_take(small: Any) -> None:
    config = small.config()
    source = LongTakes(Rollout(small.transformer(config), config), SHORT)
    draws, given = Draws(seed=0), prompts(small, config)
    made = [source.next_chunk(given, draws, gradient=index % 2 == 0) for index in range(4)]
    assert [chunk.first_frame for chunk in made] == [0, 9, 15, 0]
    assert [chunk.latents.requires_grad for chunk in made] == [True, False, True, False]


@pytest.mark.parametrize("shape", [{}, LIKE_DIORAMA], ids=["longlive", "diorama"])
@pytest.mark.parametrize("stopped_after", [0, 1, 2, 3])
def test_a_stopped_run_goes_on_in_the_middle_of_a_take(
    small: Any, shape: dict[str, Any], stopped_after: int, tmp_path: Path
) -> None:
    config = small.config(**shape)
    given = prompts(small, config)

    def chunks(source: LongTakes, turns: range) -> list[torch.Tensor]:
        made = [source.next_chunk(given, Draws(seed=turn), gradient=turn % 2 == 0) for turn in turns]
        return [chunk.window.detach() for chunk in made]

    def source() -> LongTakes:
        return LongTakes(Rollout(small.transformer(config), config), SHORT)

    wanted = chunks(source(), range(5))
    stopped = source()
    made = chunks(stopped, range(stopped_after))
    torch.save(stopped.state(), tmp_path / "state.pt")
    again = source()
    again.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    made += chunks(again, range(stopped_after, 5))
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))


def test_every_rank_switches_at_the_same_frame(small: Any) -> None:
    config, frames = small.config(), set()
    long = StreamingConfig(window_frames=9, chunk_frames=6, longest_frames=60)
    for seed in range(12):
        chosen = []
        for rank in (0, 1):
            source = LongTakes(Rollout(small.transformer(config), config), long)
            source.next_chunk(prompts(small, config), Draws(seed=seed, rank=rank), gradient=False)
            assert source.take is not None
            chosen.append(source.take.switch_frame)
        assert chosen[0] == chosen[1]
        frames.add(chosen[0])
    assert len(frames) > 3
    assert frames <= set(long.switches)


def test_without_a_second_prompt_nothing_switches(small: Any) -> None:
    config = small.config()
    source = LongTakes(Rollout(small.transformer(config), config), SHORT)
    source.next_chunk(Prompts(prompts(small, config).first), Draws(seed=0), gradient=False)
    assert source.take is not None
    assert source.take.switch_frame is None


def test_takes_that_cannot_be_cut_are_refused(small: Any) -> None:
    config = small.config()
    with pytest.raises(ConfigError, match="must rise"):
        StreamingConfig(window_frames=9, chunk_frames=12)
    with pytest.raises(ConfigError, match="a chunk that starts there"):
        take(small, config, switch_frame=12)
    rollout = Rollout(small.transformer(config), config)
    with pytest.raises(ConfigError, match="chunk_frames 5 is not whole blocks of 3"):
        Take(rollout, StreamingConfig(window_frames=9, chunk_frames=5), prompts(small, config), SeededNoise([7]))
