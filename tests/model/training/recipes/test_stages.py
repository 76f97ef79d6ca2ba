"""Parts trained one after the other."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from longtake.model.config import even_timesteps, preset
from longtake.model.diorama.autoencoder import SHIPPED, Autoencoder
from longtake.model.diorama.files import undistilled
from longtake.model.diorama.loading import load_diorama
from longtake.model.errors import ConfigError, TrainingError
from longtake.model.interface import Conditioning
from longtake.model.training.recipes.stages import Stages, StagesConfig, fits
from longtake.model.training.recipes.transformer import PRESETS
from longtake.model.training.weights import half, write_weights
from longtake.model.weights import Sampling, read_sampling, read_sizes


class Machine:
    """Runs commands by taking a while and leaving what they would; a clock that they move."""

    def __init__(self, minutes: float = 1.0) -> None:
        self.now, self.minutes = 0.0, minutes
        self.ran: list[list[str]] = []
        self.fails: dict[str, int] = {}
        self.stops: set[str] = set()

    def clock(self) -> float:
        return self.now

    def run(self, arguments: Sequence[str]) -> int:
        self.ran.append(list(arguments))
        self.now += 60 * self.minutes
        out = Path(arguments[arguments.index("--out") + 1])
        out.mkdir(parents=True, exist_ok=True)
        if arguments[0] in self.fails:
            return self.fails[arguments[0]]
        if arguments[0] in self.stops:
            return 0
        (out / "finished").touch()
        if arguments[0] == "recipes.transformer":
            save_file({"x": torch.ones(2)}, out / "ema.safetensors")
        if arguments[0] == "recipes.motion":
            save_file({"moved": torch.ones(2)}, out / "ema.safetensors")
        if arguments[0] in ("recipes.self_forcing", "recipes.streaming"):
            save_file({arguments[0]: torch.ones(2)}, out / "ema.safetensors")
            save_file({"critic": torch.ones(2)}, out / "critic.safetensors")
        if arguments[0] == "recipes.autoencoder":
            save_file({"encoder.y": torch.ones(2), "decoder.z": torch.zeros(2)}, out / "ema.safetensors")
        return 0

    @property
    def stages(self) -> list[str]:
        return [Path(arguments[arguments.index("--out") + 1]).name for arguments in self.ran]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder of weights of the kind that is trained."""
    folder = tmp_path / "start"
    state = half(Autoencoder(SHIPPED).state_dict())
    for part in ("encoder", "decoder"):
        tensors = {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(part)}
        write_weights(tensors, folder / f"{part}.safetensors")
    for name in ("text_encoder", "probe", "transformer"):
        save_file({name: torch.zeros(1)}, folder / f"{name}.safetensors")
    return folder


def stages(machine: Machine, out: Path, start: Path | None = None, **changes: object) -> Stages:
    config = StagesConfig(out=out, device="cpu", hours=1.0, start=start, **changes)  # type: ignore[arg-type]
    return Stages(config, machine.run, machine.clock)


def flag(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(f"--{name}") + 1]


def test_stages_share_the_time_and_leave_weights_of_every_part(tmp_path: Path, weights: Path) -> None:
    machine = Machine()
    assert stages(machine, tmp_path / "all", weights, settings=("dim=384",)).train()
    assert machine.stages == ["clips", "held_out", "autoencoder", "transformer"]
    autoencoder, transformer = machine.ran[2:]
    left = 0.95 - 2 / 60
    assert float(flag(autoencoder, "hours")) == pytest.approx(0.3 * left, abs=1e-4)
    assert float(flag(transformer, "hours")) == pytest.approx(left - 1 / 60, abs=1e-4)
    assert flag(autoencoder, "start") == flag(transformer, "start") == str(weights)
    assert flag(transformer, "set") == "dim=384"
    made = tmp_path / "all" / "weights"
    assert set(load_file(made / "encoder.safetensors")) == {"y"}, "what was trained replaces what was copied"
    assert set(load_file(made / "transformer.safetensors")) == {"x"}
    assert set(load_file(made / "probe.safetensors")) == {"probe"}
    assert flag(transformer, "parts") == str(made)


def test_a_run_goes_on_where_it_was_stopped_under_the_same_arguments(tmp_path: Path, weights: Path) -> None:
    machine = Machine(minutes=5)
    machine.stops = {"recipes.transformer"}
    assert not stages(machine, tmp_path / "all", weights).train()
    assert not stages(machine, tmp_path / "all", weights).train()
    machine.stops = set()
    assert stages(machine, tmp_path / "all", weights).train()
    assert machine.stages == ["clips", "held_out", "autoencoder", "transformer", "transformer", "transformer"]
    assert machine.ran[3] == machine.ran[4] == machine.ran[5]
    assert stages(machine, tmp_path / "all", weights).train()
    assert len(machine.ran) == 6, "there is nothing left to do"
    assert json.loads((tmp_path / "all" / "stages.json").read_text())["done"][-1] == "transformer"


def test_a_late_stage_gets_a_tenth_of_the_time_however_long_the_others_took(tmp_path: Path, weights: Path) -> None:
    machine = Machine(minutes=40)
    assert stages(machine, tmp_path / "all", weights).train()
    assert float(flag(machine.ran[-1], "hours")) == pytest.approx(0.1)


def test_a_failed_stage_is_one_line_and_not_done(tmp_path: Path, weights: Path) -> None:
    machine = Machine()
    machine.fails = {"recipes.autoencoder": 2}
    with pytest.raises(TrainingError, match="autoencoder has ended with status 2") as caught:
        stages(machine, tmp_path / "all", weights).train()
    assert "\n" not in str(caught.value)
    machine.fails = {}
    assert stages(machine, tmp_path / "all", weights).train()
    assert machine.stages == ["clips", "held_out", "autoencoder", "autoencoder", "transformer"]


def test_parts_are_chosen(tmp_path: Path, weights: Path) -> None:
    machine = Machine()
    assert stages(machine, tmp_path / "one", weights, parts=("transformer",)).train()
    assert machine.stages == ["transformer"]
    (weights / "transformer.safetensors").unlink()
    assert stages(machine, tmp_path / "two", weights, parts=("transformer",)).train()
    assert "--start" not in machine.ran[1]
    with pytest.raises(ConfigError, match="no part 'everything'"):
        stages(machine, tmp_path / "two", weights, parts=("everything",))
    with pytest.raises(ConfigError, match="is no folder"):
        stages(machine, tmp_path / "two", tmp_path / "none")


def test_a_motion_head_learns_beside_the_transformer_before_it_is_distilled(tmp_path: Path, weights: Path) -> None:
    machine, out = Machine(), tmp_path / "all"
    assert stages(machine, out, weights, parts=("transformer", "motion", "progressive")).train()
    assert machine.stages == ["transformer", "motion", "progressive"]
    _, motion, distilled = machine.ran
    assert flag(motion, "start") == str(out / "weights"), "what the stage before has made"
    assert set(load_file(out / "teacher" / "transformer.safetensors")) == {"moved"}, "the teacher has the head"
    assert flag(distilled, "teacher") == str(out / "teacher")
    alone = Machine()
    assert stages(alone, tmp_path / "one", weights, parts=("motion",)).train()
    assert flag(alone.ran[0], "start") == str(weights)


def test_the_transformer_is_distilled_and_tuned_on_long_takes(tmp_path: Path, weights: Path) -> None:
    machine, out = Machine(), tmp_path / "all"
    assert stages(machine, out, weights, parts=("transformer", "self_forcing", "streaming")).train()
    assert machine.stages == ["transformer", "self_forcing", "streaming"]
    _, distilled, tuned = machine.ran
    teacher = str(out / "teacher")
    assert flag(distilled, "start") == flag(distilled, "teacher") == flag(distilled, "critic") == teacher
    assert set(load_file(out / "teacher" / "transformer.safetensors")) == {"x"}, "what flow matching made"
    assert flag(tuned, "start") == str(out / "self_forcing" / "ema.safetensors")
    assert flag(tuned, "critic") == str(out / "self_forcing" / "critic.safetensors")
    assert flag(tuned, "teacher") == teacher
    assert float(flag(tuned, "hours")) == pytest.approx(0.95 - 2 / 60, abs=1e-4)
    assert set(load_file(out / "weights" / "transformer.safetensors")) == {"recipes.streaming"}


def test_only_the_last_stages_start_from_weights_that_are_there(tmp_path: Path, weights: Path) -> None:
    machine, out = Machine(), tmp_path / "all"
    assert stages(machine, out, weights, parts=("streaming",)).train()
    assert flag(machine.ran[0], "start") == str(out / "teacher")
    assert set(load_file(out / "teacher" / "transformer.safetensors")) == {"transformer"}


def test_what_flow_matching_made_is_distilled_and_kept(tmp_path: Path, weights: Path) -> None:
    machine, out = Machine(), tmp_path / "all"
    assert stages(machine, out, weights, parts=("transformer", "progressive", "self_forcing")).train()
    assert machine.stages == ["transformer", "progressive", "self_forcing"]
    _, distilled, forced = machine.ran
    assert distilled[0] == "recipes.transformer"
    assert flag(distilled, "teacher") == flag(forced, "teacher") == str(out / "teacher")
    assert flag(forced, "start") == str(out / "progressive" / "ema.safetensors")
    assert {"text_guidance=2", "resampled=0.4"} <= set(distilled)
    made = out / "weights"
    assert set(load_file(undistilled(made) / "transformer.safetensors")) == {"x"}, "what the next round starts from"
    assert set(load_file(made / "transformer.safetensors")) == {"recipes.self_forcing"}


def test_distilled_weights_are_not_distilled_again(tmp_path: Path, weights: Path) -> None:
    (weights / "teacher").mkdir()
    save_file({"taught": torch.zeros(1)}, weights / "teacher" / "transformer.safetensors")
    machine, out = Machine(), tmp_path / "all"
    assert stages(machine, out, weights, parts=("progressive",)).train()
    assert set(load_file(out / "teacher" / "transformer.safetensors")) == {"taught"}


def test_weights_of_another_kind_are_not_started_from(tmp_path: Path, weights: Path) -> None:
    assert fits(weights)
    save_file({"x": torch.zeros(1)}, weights / "encoder.safetensors")
    assert not fits(weights)
    assert not fits(tmp_path / "none")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_stages_of_the_transformer_end_with_valid_weights(tmp_path: Path) -> None:
    """The same command as on a GPU, tiny and for seconds."""
    out = tmp_path / "all"
    options = ["--out", str(out), "--device", "cpu", "--minutes", "0.2", "--preset", "tiny"]
    parts = ["--parts", "transformer,progressive,self_forcing,streaming"]
    sizes = {"ranks": 1, "held_out": 0, "first_clips": 2, "pool_clips": 2, "opening_frames": 4, "singles": 2}
    sizes |= {"sampling.frames": 4, "drawing.frames": 36}
    small = [f"--set={name}={value}" for name, value in sizes.items()]
    subprocess.run([sys.executable, "-m", "longtake", "train", "all", *options, *parts, *small], check=True)
    made = out / "weights"
    assert all(file.stat().st_size < 15_000_000 for file in made.glob("*.safetensors"))
    for stage in ("transformer", "progressive", "self_forcing", "streaming"):
        assert (out / stage / "finished").exists()
        assert (made / "runs" / f"{stage}-config.json").exists()
    assert any((out / "transformer" / "samples").iterdir())
    assert "tiny" in json.loads((made / "runs" / "transformer-config.json").read_text())["command"]
    paths = [folder / "transformer.safetensors" for folder in (made, made / "teacher")]
    assert [read_sizes(path, preset("diorama").transformer) for path in paths] == 2 * [PRESETS["tiny"]]
    assert [read_sampling(path) for path in paths] == [Sampling(sampler="euler", timesteps=even_timesteps(4)), None]
    # A busy machine may give a stage of seconds no step of its network, or only the first, before the critic differs
    # from the teacher: that one has next to no gradient, logged as 0.
    rows = [
        json.loads(row)
        for stage in ("progressive", "self_forcing", "streaming")
        for row in (out / stage / "log.jsonl").read_text().splitlines()
    ]
    if any(row.get("generator_grad", row.get("grad", 0)) > 0 for row in rows):
        tuned, taught = (load_file(path) for path in paths)
        assert any(not torch.equal(value, taught[name]) for name, value in tuned.items())
    model = load_diorama(made, device="cpu")
    frames = model.step(model.open(seed=1, conditioning=Conditioning(prompt="a red boat"))).frames
    assert frames is not None
    assert frames.shape[-1] == 3
