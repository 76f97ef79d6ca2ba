"""The Gymnasium environment and the example agent, against the real server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from longtake.clients.agents import example as example_agent
from longtake.clients.agents.environment import LongtakeEnv
from longtake.clients.agents.example import PATIENCE_S, Lamplighter
from longtake.protocol import messages as m
from longtake.protocol.errors import LongtakeError
from tests.clients.real_server import RealServer, real_server
from tests.reach import reach

SCRIPT = m.Script(
    name="test",
    template="a fox {time}",
    slots=[m.Slot(name="time", default="day")],
    events={"night": m.EventDef(set={"time": "night"}), "day": m.EventDef(set={"time": "day"})},
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path) as real:
        yield real


@pytest.fixture
def env(server: RealServer) -> Iterator[LongtakeEnv]:
    made = LongtakeEnv(reach(server), script=SCRIPT)
    yield made
    made.close()


def test_it_is_a_proper_environment(env: LongtakeEnv) -> None:
    env.reset(seed=1)
    assert env.observation_space.contains(env.step(0)[0])
    assert env.action_space.n == 3  # type: ignore[attr-defined]


def test_the_environment_checker_is_content(env: LongtakeEnv) -> None:
    check_env(env, skip_render_check=True)


def test_steps_advance_the_world_by_a_block(env: LongtakeEnv) -> None:
    _, info = env.reset(seed=3)
    assert info["tick"] == 3
    frame, reward, terminated, truncated, info = env.step(None)
    assert (info["tick"], info["frames"].shape) == (7, (4, 16, 24, 3))
    assert np.array_equal(frame, info["frames"][-1])
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_every_form_of_a_cue(server: RealServer, env: LongtakeEnv) -> None:
    env.reset(seed=3)
    for action in (None, 0, 1, np.int64(2), "night", {"prompt": "a bird"}):
        env.step(action)
    assert [event.name for event in server.got["event"]] == ["night", "day", "night"]
    assert [prompt.text for prompt in server.got["prompt"]] == ["a bird"]
    info = env.step(None)[4]
    assert (info["cue"], info["prompt"]) == (4, "a bird")


def test_reset_takes_a_seed_or_draws_one(server: RealServer, env: LongtakeEnv) -> None:
    env.reset(seed=5)
    env.reset(seed=6)
    env.reset()
    drawn = [control.seed for control in server.got["control"] if control.action == "reset"]
    assert server.got["open"][0].seed == 5
    assert drawn[0] == 6
    assert drawn[1] is not None
    assert len(server.got["open"]) == 1, "the same world is used again"
    env.reset(seed=5, options={"prompt": "a bird"})
    assert [opened.prompt for opened in server.got["open"]] == [None, "a bird"]
    assert len(server.worlds) == 1, "the world before was closed"


def test_an_episode_begins_under_the_first_prompt_whatever_was_asked_for_in_the_one_before(
    server: RealServer, env: LongtakeEnv
) -> None:
    env.reset(seed=5)
    env.step("night")
    env.reset(seed=5)
    assert [control.action for control in server.got["control"]].count("reset") == 0, "a reset keeps the night"
    assert len(server.got["open"]) == 2
    env.step(0)
    env.reset(seed=5)
    assert [control.action for control in server.got["control"]].count("reset") == 1


def test_rewards_and_readings(server: RealServer) -> None:
    server.model.labels = {"time": "night"}
    env = LongtakeEnv(
        reach(server), script=SCRIPT, readings=True, reward=lambda frame, info: float(info["labels"]["time"] == "night")
    )
    env.reset(seed=1)
    assert env.step(None)[1] == 1.0
    server.model.labels = {"time": "day"}
    assert env.step(None)[1] == 0.0
    env.close()


def test_errors_are_one_line(server: RealServer) -> None:
    with pytest.raises(LongtakeError, match="no model 'nonesuch'; it has diorama"):
        LongtakeEnv(reach(server), model="nonesuch")
    env = LongtakeEnv(reach(server))
    with pytest.raises(LongtakeError, match="reset"):
        env.step(None)
    env.close()


# --- the example agent -------------------------------------------------------------------------------------


def test_the_lamplighter_waits_before_it_acts() -> None:
    agent = Lamplighter(fps=16)
    dark, bright = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 220, np.uint8)
    patience = round(PATIENCE_S * 16)
    answers = [agent.decide(dark) for _ in range(patience + 20)]
    assert [tick for tick, answer in enumerate(answers) if answer] == [patience - 1]
    assert answers[patience - 1] == "day"
    assert [agent.decide(bright) for _ in range(patience)][-1] == "night"


def test_the_example_agent_directs_a_world(server: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert example_agent.run(reach(server), seconds=6, seed=4) == 1
    assert [event.name for event in server.got["event"]] == ["day"]
    assert "day from tick 64" in capsys.readouterr().out
    assert server.worlds == []


@pytest.fixture
def steered(tmp_path: Path) -> Iterator[tuple[RealServer, LongtakeEnv]]:
    with real_server(tmp_path, axes=True) as real:
        made = LongtakeEnv(reach(real), script=SCRIPT)
        yield real, made
        made.close()


def test_a_model_with_axes_is_a_proper_environment_too(steered: tuple[RealServer, LongtakeEnv]) -> None:
    _, env = steered
    assert isinstance(env.action_space, spaces.Dict)
    assert env.action_space["cue"] == spaces.Discrete(3)
    axes = env.action_space["axes"]
    assert isinstance(axes, spaces.Box)
    assert (axes.low.tolist(), axes.high.tolist()) == ([-1.0, -0.5, 0.0], [1.0, 0.5, 1.0])
    check_env(env, skip_render_check=True)


def test_axes_are_held_until_the_next_ones_and_at_rest_when_an_episode_begins(
    steered: tuple[RealServer, LongtakeEnv],
) -> None:
    server, env = steered
    frames = [env.reset(seed=1)[0]]
    frames.append(env.step({"cue": 0, "axes": np.array([1.0, 0.0, 0.7], np.float32)})[0])
    frames.append(env.step(None)[0])
    frames.append(env.step({"cue": "night"})[0])
    frames.append(env.reset(seed=1)[0])
    assert [int(frame[0, 0, 2]) for frame in frames] == [100, 200, 200, 200, 100]
    assert {"speed": 1.0, "lift": 0.0, "horn": 1.0} in [message.axes for message in server.got["input"]]
    assert [event.name for event in server.got["event"]] == ["night"]


def test_axes_that_do_not_fit_are_one_line(steered: tuple[RealServer, LongtakeEnv], env: LongtakeEnv) -> None:
    _, with_axes = steered
    with_axes.reset(seed=1)
    with pytest.raises(LongtakeError, match=r"axes of shape \(2,\) for a model with 3: speed -1 to 1"):
        with_axes.step({"axes": [1.0, 0.0]})
    with pytest.raises(LongtakeError, match=r"speed cannot be held at 2\.0"):
        with_axes.step({"axes": [2.0, 0.0, 0.0]})
    env.reset(seed=1)
    with pytest.raises(LongtakeError, match="for a model with 0: none"):
        env.step({"axes": [1.0]})
