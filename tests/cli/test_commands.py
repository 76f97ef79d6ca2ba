"""The commands from end to end on the fake model: servers and generators are real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longtake.clients.session import Session

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def scenario(path: Path, **fields: Any) -> Path:
    """A scenario of three seconds for the fake model."""
    body = {
        "name": "short",
        "template": "a fox {time}",
        "slots": {"time": {"default": "day", "values": {"day": "by day", "night": "at night"}}},
        "events": {"night": {"key": "n", "set": {"time": "night"}}, "day": {"key": "d", "set": {"time": "day"}}},
        "timeline": [{"at": "1s", "event": "night"}],
        "seconds": 3,
        **fields,
    }
    path.write_text(json.dumps(body), encoding="utf-8")  # JSON is YAML
    return path


def test_render_and_replay(call: Call, fake: list[str], tmp_path: Path) -> None:
    called = call(
        "render", "a fox", "--seconds", "2", "--seed", "5", "--cue", "1s", "a fox at night",
        "--output", "out/fox.mp4", "--record", "fox.take", "--json", *fake,
    )  # fmt: skip
    assert called.code == 0, called.err
    told = json.loads(called.out)
    assert (told["frames"], told["fps"], told["seed"]) == (32, 16, 5)
    assert [(mark["tick"], mark["prompt"]) for mark in told["timeline"]] == [(0, "a fox"), (16, "a fox at night")]
    assert Path(told["video"]).stat().st_size > 1000
    assert Path(told["sheet"]).read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["fox.mp4", "fox.png"]

    replayed = call("replay", "fox.take", "--json", *fake)
    assert replayed.code == 0, replayed.err
    told = json.loads(replayed.out)
    assert told["identical"] is True
    assert told["blocks"] == told["same"] >= 8


def test_a_film_without_a_name_takes_a_new_one_and_a_named_one_says_what_it_replaces(
    call: Call, fake: list[str], steered: list[str]
) -> None:
    videos = []
    for _ in range(3):
        called = call("render", "a fox", "--seconds", "0.5", "--json", *fake)
        told = json.loads(called.out)
        videos.append(told["video"])
        assert told["sheet"] == str(Path(told["video"]).with_suffix(".png"))
        assert "replaced" not in called.err
    assert videos == [f"renders/take{number}.mp4" for number in ("", "-1", "-2")]
    first = Path(videos[0]).read_bytes()
    called = call("render", "a fox", "--seconds", "1", "-o", "renders/take.mp4", *fake)
    assert called.err.splitlines()[0] == "renders/take.mp4 and renders/take.png will be replaced"
    assert Path(videos[0]).read_bytes() != first
    headless = [call("play", "--headless", "--seconds", "0.5", *steered).out.split()[0] for _ in range(2)]
    assert headless == ["renders/default.mp4", "renders/default-1.mp4"]
    assert len(list(Path("renders").iterdir())) == 10


def test_the_same_seed_renders_the_same_frames(call: Call, fake: list[str]) -> None:
    digests = set()
    for seed in ("5", "5", "6"):
        called = call(
            "render", "a fox", "--seconds", "1", "--seed", seed, "--no-contact-sheet", "--json", *fake
        )  # fmt: skip
        digests.add((seed, json.loads(called.out)["digest"]))
    assert len(digests) == 2
    assert not Path("renders/take.png").exists()


def test_replay_says_where_a_take_differs(call: Call, fake: list[str], tmp_path: Path) -> None:
    from longtake.runtime.takes.file import TakeBlock, TakeWriter, read_take

    assert call("run", scenario(tmp_path / "short.yaml"), "--mode", "lockstep", "--record", "x.take", *fake).code == 0
    take = read_take(tmp_path / "x.take")
    records = [take.header, *take.records]
    blocks = [index for index, record in enumerate(records) if isinstance(record, TakeBlock)]
    other = records[blocks[3]]
    assert isinstance(other, TakeBlock)
    records[blocks[3]] = TakeBlock(block=other.block, digest="00" * 16, prompt=other.prompt)
    writer = TakeWriter(tmp_path / "y.take")
    writer.write(*records)
    writer.close()

    called = call("replay", "y.take", *fake)
    assert called.code == 1
    assert "1 of" in called.out
    assert "first block 3 (tick 12" in called.out
    assert json.loads(call("replay", "y.take", "--json", *fake).out)["first_difference"]["block"] == 3


def test_run_passes_and_fails_by_its_expectations(call: Call, fake: list[str], tmp_path: Path) -> None:
    good = call("run", scenario(tmp_path / "good.yaml"), "--mode", "offline", *fake)
    assert good.code == 0, good.err
    assert "48 ticks" in good.out
    assert "a fox at night" in good.out

    expecting = scenario(tmp_path / "bad.yaml", expect={"adherence_min": {"place": 1.0}}, labels={"place": "city"})
    bad = call("run", expecting, "--mode", "lockstep", "--json", *fake)
    assert bad.code == 1, bad.err
    told = json.loads(bad.out)
    assert told["passed"] is False
    assert [check["outcome"] for check in told["checks"]] == ["failed"]


def test_offline_and_lockstep_make_the_same_frames(call: Call, fake: list[str], tmp_path: Path) -> None:
    path = scenario(tmp_path / "short.yaml")
    digests = {
        json.loads(call("run", path, "--mode", mode, "--json", *fake).out)["frames_digest"]
        for mode in ("offline", "lockstep")
    }
    assert len(digests) == 1


def test_an_interactive_prompt_file(call: Call, fake: list[str], tmp_path: Path) -> None:
    lines = [{"prompts": ["a fox", "a fox at night"]}, {"prompts": ["a bird"]}]
    (tmp_path / "takes.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    called = call(
        "run", "takes.jsonl", "--mode", "lockstep", "--switch-latents", "4", "--seconds", "3", "--json", *fake
    )  # fmt: skip
    assert called.code == 0, called.err
    told = json.loads(called.out)
    assert [report["scenario"] for report in told] == ["takes-1", "takes-2"]
    assert [cue["tick"] for cue in told[0]["cues"]] == [16]


def test_a_list_of_prompts_is_run_rendered_and_played(call: Call, fake: list[str], tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("\ufeffa fox\u2028runs\r\n\r\na bird\n".encode())
    called = call("run", "list.txt", "--mode", "lockstep", "--seconds", "0.5", "--json", *fake)
    assert called.code == 0, called.err
    assert [report["scenario"] for report in json.loads(called.out)] == ["list-1", "list-3"]

    called = call("render", "list.txt", "--seconds", "0.5", "--output", "out/a: b.mp4", "--json", *fake)
    assert called.code == 0, called.err
    told = json.loads(called.out)
    assert [film["timeline"][0]["prompt"] for film in told] == ["a fox runs", "a bird"]
    names = ["a: b-1.mp4", "a: b-1.png", "a: b-3.mp4", "a: b-3.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names

    called = call("play", "--headless", "list.txt", "--line", "2", "--seconds", "0.5", *fake)
    assert called.code == 0, called.err
    assert "renders/list.mp4  8 frames" in called.out


def test_a_film_replaces_our_own_and_no_other_file(call: Call, fake: list[str], tmp_path: Path) -> None:
    command = ["render", "a fox", "--seconds", "0.5", "--output", "~/fox: at dawn.mp4"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))
        for _ in range(2):
            called = call(*command, *fake)
            assert called.code == 0, called.err
        (tmp_path / "fox: at dawn.png").write_bytes(b"a holiday")
        called = call(*command, *fake)
        assert called.code == 2
        assert "fox: at dawn.png exists and is no film of ours" in called.line
        assert (tmp_path / "fox: at dawn.png").read_bytes() == b"a holiday"
        assert call(*command, "--overwrite", *fake).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fox: at dawn.mp4", "fox: at dawn.png"]


def test_play_without_a_display_films(call: Call, fake: list[str], tmp_path: Path) -> None:
    called = call("play", scenario(tmp_path / "short.yaml"), "--seconds", "2", *fake)
    assert called.code == 0, called.err
    assert "no display" in called.err
    assert "renders/short.mp4  32 frames" in called.out.replace(os.sep, "/")
    assert "ssh -X" in called.out
    assert sorted(path.name for path in (tmp_path / "renders").iterdir()) == ["short.mp4", "short.png"]


def test_bench_generator(call: Call, fake: list[str]) -> None:
    called = call("bench", "generator", "--blocks", "20", "--json", *fake)
    assert called.code == 0, called.err
    told = json.loads(called.out)
    assert told["frames"] == 80
    assert told["fps"] == pytest.approx(80 / told["seconds"])
    assert told["realtime_factor"] == pytest.approx(told["fps"] / 16)
    assert told["block_ms"]["p50"] <= told["block_ms"]["p95"] <= told["block_ms"]["max"]
    assert told["regions_ms"] == {"denoise": 1.0}
    assert "fps" in call("bench", "generator", "--blocks", "4", *fake).out


@pytest.mark.slow
def test_bench_live(call: Call, fake: list[str], tmp_path: Path) -> None:
    path = scenario(tmp_path / "short.yaml")
    called = call("bench", "live", "--seconds", "8", "--scenario", path, "--json", *fake)
    assert called.code == 0, called.err
    told = json.loads(called.out)
    deadlines = told["frames_shown"] + told["frames_held"] + told["deadlines_skipped"]
    assert deadlines == pytest.approx(8 * 16, abs=6)
    assert told["seconds"] >= 8
    assert told["cues"] == told["event_to_photon_ms"]["count"] == 1
    assert 0 < told["event_to_photon_ms"]["p50"] < 5000
    assert told["tick_jitter_ms"]["p50"] >= 0


@pytest.mark.slow
def test_bench_live_with_several_worlds_and_viewers(call: Call, fake: list[str], tmp_path: Path) -> None:
    path = scenario(tmp_path / "short.yaml")
    words = ["--seconds", "7", "--worlds", "2", "--viewers", "1", "--scenario", path]
    called = call("bench", "live", *words, "--json", *fake)
    assert called.code == 0, called.err
    told = json.loads(called.out)
    assert (told["asked"], told["refused"], len(told["worlds"])) == (2, "", 2)
    for world in told["worlds"]:
        assert world["seconds"] >= 7
        assert world["cues"] == world["event_to_photon_ms"]["count"] == 1
        assert world["viewers"] == 1
        assert 0 < world["viewer_fps"] <= 17
    assert told["overall"]["frames_shown"] == sum(world["frames_shown"] for world in told["worlds"])
    assert told["overall"]["event_to_photon_ms"]["count"] == 2


@pytest.mark.slow
def test_bench_live_says_how_many_worlds_fit(
    call: Call, fake: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGTAKE_FAKE", json.dumps({"step_s": 0.15}))
    path = scenario(tmp_path / "short.yaml")
    called = call("bench", "live", "--seconds", "3", "--worlds", "3", "--scenario", path, *fake)
    assert called.code == 0, called.err
    assert "1 of 3 worlds: the generator is" in called.out
    assert "% busy with 1 live world" in called.out
    assert "overall" in called.out


def test_serve_announces_itself_and_ends_in_order(fake: list[str]) -> None:
    command = [sys.executable, "-m", "longtake", "serve", "--bind", "tcp://127.0.0.1:0", "--json", *fake]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # tests may be run in the background, where Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        said = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [line["state"] for line in said] == ["loading", "ready"]
        endpoint = said[0]["endpoint"]
        assert endpoint.startswith("tcp://127.0.0.1:")
        with Session.connect(endpoint) as session:
            world = session.join()
            assert world.info.script.name == "default"
            assert world.next_picture(30).header.tick >= 0  # it runs as soon as somebody is there
        children = children_of(process.pid)
        assert children, "the generator is a process of its own"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert json.loads(out)["state"] == "stopped"
        assert err == ""
        assert gone(children)
    finally:
        process.kill()
        process.wait()


def children_of(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("this system does not list the children of a process")
    return [int(child) for child in listed.read_text().split()]


def gone(pids: list[int]) -> bool:
    """Whether the processes have ended, or do so soon."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


def test_play_and_join_open_the_player(
    call: Call, fake: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What reaches the player: an endpoint that answers, and what was asked for on the command line."""
    from longtake.clients.player import player
    from longtake.clients.session import Session
    from longtake.runtime.cli import join, play

    played: list[dict[str, Any]] = []

    def pretend(endpoint: str, **options: Any) -> None:
        if "script" in options:
            with Session.connect(endpoint) as session:
                options["models"] = [model.name for model in session.models]
        played.append({"endpoint": endpoint, **options})

    monkeypatch.setattr(player, "play", pretend)
    monkeypatch.setattr(play, "open_display", lambda: "")
    monkeypatch.setattr(join, "open_display", lambda: "")
    called = call("play", scenario(tmp_path / "short.yaml"), "--seed", "3", "--fullscreen", *fake)
    assert called.code == 0, called.err
    assert call("join", "tcp://127.0.0.1:7000", "--world", "w2", "--role", "director", "--jpeg").code == 0

    at_play, at_join = played
    assert at_play["models"] == ["diorama"]
    assert (at_play["seed"], at_play["fullscreen"], at_play["script"].name) == (3, True, "short")
    assert (at_join["endpoint"], at_join["join"], at_join["role"]) == ("tcp://127.0.0.1:7000", "w2", "director")
    assert at_join["encoding"] == "jpeg"


def test_a_model_that_cannot_be_loaded_is_one_line(
    call: Call, fake: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGTAKE_FAKE", json.dumps({"fail_to_load": "no such device here; use --device cpu"}))
    for arguments in (["render", "a fox"], ["serve", "--bind", "tcp://127.0.0.1:0"]):
        called = call(*arguments, *fake)
        assert called.code == 2
        assert "no such device here; use --device cpu" in called.line
