"""Parity with recorded runs of the public reference; LONGTAKE_GOLDENS names a folder with more of them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from longtake.model.errors import CaseError, ModelError
from longtake.model.evaluation.conformance import (
    NOT_A_CASE,
    read_case,
    read_config,
    read_weights,
    run_case,
    run_case_dir,
)
from longtake.model.generation.generator import Generator
from longtake.model.generation.noise import RecordedNoise
from longtake.model.generation.schedule import Schedule
from longtake.model.network.rope import Rope, axis_frequencies, axis_split, rotate
from longtake.model.network.transformer import Transformer, sinusoid

HERE = Path(__file__).parents[2] / "data" / "goldens"
FOLDERS = [HERE, *([Path(os.environ["LONGTAKE_GOLDENS"])] if os.environ.get("LONGTAKE_GOLDENS") else [])]
TYPES = [torch.float32, torch.bfloat16]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name if folder == HERE else "LONGTAKE_GOLDENS")
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.mark.parametrize("dtype", TYPES, ids=["fp32", "bf16"])
def test_every_case(folder: Path, dtype: torch.dtype) -> None:
    results = list(run_case_dir(folder, dtype=dtype))
    run = [result for result in results if result.skipped is None]
    assert run, "no stream case was found"
    assert all(result.passed for result in run), "\n".join(result.summary() for result in run)
    assert all(result.skipped == NOT_A_CASE for result in results if result not in run)


def test_steps_inside_a_block(folder: Path) -> None:
    for result in run_case_dir(folder):
        if result.name == "stream.safetensors":
            assert len(result.step_errors) >= 8
            assert max(result.step_errors.values()) < 1e-5
            return
    pytest.fail("there is no stream.safetensors")


def test_the_cache_holds_the_references_keys(folder: Path) -> None:
    case, config = read_case(folder / "stream.safetensors"), read_config(folder)
    assert case is not None
    transformer = Transformer(config.transformer)
    transformer.load_state_dict(read_weights(folder))
    generator = Generator(transformer, None, None, config)
    noise = RecordedNoise(case.tensors["noise"], case.tensors["renoise"])
    world = generator.open(seed=0, embedding=case.tensors["prompt/p0"], noise=noise)
    compared = 0
    for index in range(case.blocks):
        generator.step(world)
        generator.settle(world)
        end = (index + 1) * config.block_frames
        in_order = [f for f in range(end) if f < config.sink_frames or f >= end - config.ring_frames]
        tokens = config.transformer.frame_tokens
        for layer in range(config.transformer.layers):
            for name, buffer in (("k", world.cache.keys), ("v", world.cache.values)):
                recorded = case.tensors.get(f"cache/b{index:02d}_clean/layer{layer}.{name}")
                if recorded is None:
                    continue
                frames = buffer[layer, 0].unflatten(1, (-1, tokens))
                made = torch.cat([frames[:, world.cache.window.slot(f)] for f in in_order], 1).transpose(0, 1)
                recorded = recorded[: len(made)]
                assert (made - recorded).norm() / recorded.norm() < 1e-5, (index, layer, name)
                compared += 1
    assert compared >= 2


@pytest.mark.parametrize("head_dim", [24, 32, 64, 128])
def test_rope(folder: Path, head_dim: int) -> None:
    tensors = load_file(folder / "rope.safetensors")
    if f"hd{head_dim}/x" not in tensors:
        assert folder == HERE, "the full recording has every width"
        assert head_dim > 32
        return
    rope = Rope(head_dim, (4, 6))
    x = tensors[f"hd{head_dim}/x"].unflatten(1, (3, 24))
    frames = {"abs0": [0, 1, 2], "abs9": [9, 10, 11], "abs1020": [1020, 1021, 1022], "rel_0_1_11": [0, 1, 11]}
    for name, positions in frames.items():
        recorded = tensors[f"hd{head_dim}/{name}"]
        made = rotate(x, rope.table(positions)).flatten(1, 2)
        assert (made - recorded).norm() / recorded.norm() < 1e-6, name
    angles = torch.cat([axis_frequencies(channels) for channels in axis_split(head_dim)])
    assert torch.allclose(angles, tensors[f"hd{head_dim}/angles_row1"], rtol=1e-12)


def test_schedule(folder: Path) -> None:
    tensors = load_file(folder / "scheduler.safetensors")
    for shift in (3, 5, 8):
        schedule = Schedule(float(shift))
        assert torch.allclose(schedule.sigmas, tensors[f"shift{shift}/sigmas"], rtol=1e-6)
        assert torch.allclose(schedule.timesteps, tensors[f"shift{shift}/timesteps"], rtol=1e-6)
        warped = torch.tensor(schedule.warp((1000, 750, 500, 250)))
        assert torch.allclose(warped, tensors[f"shift{shift}/warped4"], rtol=1e-6)
        assert torch.allclose(
            torch.tensor(schedule.warp((1000, 750, 500, 250, 0))), tensors[f"shift{shift}/warped5with0"]
        )
    schedule = Schedule(5.0)
    assert torch.allclose(schedule.sigma(tensors["t"]), tensors["sigma"], rtol=1e-6)
    count = len(tensors["x0"])
    x0, noise, flow, t = tensors["x0"], tensors["noise"], tensors["flow"], tensors["t"][:count]
    xt = schedule.add_noise(x0, noise, t)
    assert torch.equal(xt, tensors["add_noise"])
    assert torch.equal(schedule.clean(xt, flow, t), tensors["flow_to_x0"])
    assert torch.equal(schedule.flow(x0, xt, t), tensors["x0_to_flow"])
    half = schedule.add_noise(x0.bfloat16(), noise.bfloat16(), t)
    assert torch.equal(half, tensors["add_noise_bf16"])
    assert torch.equal(schedule.clean(half, flow.bfloat16(), t), tensors["flow_to_x0_bf16"])
    for width in (32, 256):
        assert torch.allclose(sinusoid(tensors["sinusoid/t"], width), tensors[f"sinusoid/dim{width}_f64"], atol=1e-12)


def rewritten(tmp_path: Path, change: Any, meta: dict[str, Any]) -> Path:
    """The cut-down folder with a changed copy of its case."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((HERE / name).read_bytes())
    tensors = load_file(HERE / "stream.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "case.safetensors", {"meta": json.dumps(meta)})
    return tmp_path


def test_a_wrong_result_fails_and_says_where(tmp_path: Path) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["latents/b05"] = tensors["latents/b05"] * 1.001

    (result,) = run_case_dir(rewritten(tmp_path, spoil, {}))
    assert not result.passed
    assert "FAILED" in result.summary()
    assert "at block 5" in result.summary()


def test_wrong_semantics_are_far_off(tmp_path: Path) -> None:
    (result,) = run_case_dir(rewritten(tmp_path, lambda tensors: None, {"infinity": True}))
    assert max(result.block_errors[:4]) < 1e-5
    assert min(result.block_errors[4:]) > 1e-2


def test_a_switch_waits_for_the_next_block(tmp_path: Path) -> None:
    def add_prompt(tensors: dict[str, torch.Tensor]) -> None:
        tensors["prompt/p1"] = tensors["prompt/p0"].flip(1)

    meta = {"prompt_names": ["p0", "p1"], "switches": [10]}
    (result,) = run_case_dir(rewritten(tmp_path, add_prompt, meta))
    assert max(result.block_errors[:4]) < 1e-5
    assert min(result.block_errors[4:]) > 1e-3


def test_cases_that_cannot_be_run_say_why(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="do not fit the prompts"):
        list(run_case_dir(rewritten(tmp_path, lambda tensors: None, {"switches": [10]})))
    (tmp_path / "case.safetensors").write_bytes(b"not a safetensors file")
    with pytest.raises(CaseError, match="cannot be read"):
        list(run_case_dir(tmp_path))
    with pytest.raises(CaseError, match=r"config\.json"):
        list(run_case_dir(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("latents/b02"), "latents of 5 blocks are not called"),
        (lambda tensors: tensors.update(noise=tensors["noise"][:, :9]), "6 blocks of this model need"),
        (lambda tensors: tensors.update({"prompt/p0": torch.zeros(1, 3, 7)}), "prompt p0 is"),
        (lambda tensors: tensors.update(renoise=tensors["renoise"][:2]), "has no block 2"),
    ],
)
def test_cases_of_another_size_say_so(tmp_path: Path, change: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        list(run_case_dir(rewritten(tmp_path, change, {})))


def test_weights_of_another_size_say_so(tmp_path: Path) -> None:
    folder = rewritten(tmp_path, lambda tensors: None, {})
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"ffn_dim": 192', '"ffn_dim": 96'))
    with pytest.raises(CaseError, match=r"does not fit config\.json"):
        list(run_case_dir(folder))


def test_a_tolerance_can_be_given() -> None:
    config, weights = read_config(HERE), read_weights(HERE)
    case = read_case(HERE / "stream.safetensors")
    assert case is not None
    assert not run_case(case, config, weights, tolerance=1e-9).passed
