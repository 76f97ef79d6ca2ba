"""The plan's arithmetic against the operations that torch counts, against figures known otherwise, and by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from longtake.model.config import preset
from longtake.model.errors import ConfigError
from longtake.model.evaluation import plan_devices
from longtake.model.evaluation.plan import (
    Cost,
    Plan,
    compare,
    forward_cost,
    layer_cost,
    make_plan,
    memory_of,
    prompt_cost,
    resized,
    transformer_parameters,
)
from longtake.model.evaluation.plan_devices import DEVICES, best_of, this_cpu
from longtake.model.evaluation.plan_parts import DecoderCost, count_decoder, state_bytes
from longtake.model.longlive.plan import LongLivePlan
from longtake.model.longlive.taehv import TinyDecoder, TinyDecoderConfig
from longtake.model.network.transformer import Transformer

DOCS = Path(__file__).resolve().parents[3] / "docs"
H100 = DEVICES["h100"]
LONGLIVE = preset("longlive-1.3b")


@pytest.fixture(autouse=True)
def cheap_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting Wan's decoder takes seconds; what is counted is the same with any."""
    cost = DecoderCost(flop=5e11, bytes=2e9, weights_bytes=20_000_000, state_bytes=67_000_000, activation_bytes=4)
    monkeypatch.setattr(LongLivePlan, "decoders", lambda self, sizes: {"tiny": cost})


def test_a_layer_is_counted_as_torch_counts_it() -> None:
    sizes = preset("tiny").transformer
    with torch.device("meta"):
        layer = Transformer(sizes).layers[0]
        x = torch.empty(1, 3, sizes.frame_tokens, sizes.dim)
        cross = torch.empty(1, sizes.text_tokens, sizes.heads, sizes.head_dim)
        keys = torch.empty(1, sizes.heads, 12 * sizes.frame_tokens, sizes.head_dim)

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            heads = q.flatten(1, 2).transpose(1, 2)
            out = torch.softmax(heads @ keys.transpose(-1, -2), -1) @ keys
            return out.transpose(1, 2).reshape(q.shape)

        with FlopCounterMode(display=False) as counter, torch.no_grad():
            layer(x, torch.empty(1, 1, 6, sizes.dim), attend, (cross, cross))
    cost = layer_cost(sizes, 3 * sizes.frame_tokens, 12 * sizes.frame_tokens)
    assert cost.flop == counter.get_total_flops()


def test_longlive_costs_what_is_known_of_it() -> None:
    sizes = LONGLIVE.transformer
    assert forward_cost(sizes, 3, 12).flop == pytest.approx(28.3e12, rel=0.01)
    maps, others = transformer_parameters(sizes)
    assert maps + others == pytest.approx(1.42e9, rel=0.01)
    memory = memory_of(LONGLIVE, {}, None, fp8=False)
    assert memory["world cache"] == 2 * 30 * 12 * 1560 * 1536 * 2
    copies = memory_of(LONGLIVE, {}, None, fp8=True)["weights transformer"] - memory["weights transformer"]
    assert copies == maps == 30 * (6 * 1536 * 1536 + 2 * 1536 * 8960)


def test_a_recache_of_nine_costs_three_quarters_of_one_of_twelve() -> None:
    plan = make_plan("longlive-1.3b", H100)
    nine, twelve = plan.part("recache 9"), plan.part("recache 12")
    assert nine is not None
    assert twelve is not None
    assert nine.tflop == pytest.approx(0.75 * twelve.tflop)


def test_a_clean_pass_stops_at_the_last_keys() -> None:
    sizes = preset("tiny").transformer
    whole, keys = forward_cost(sizes, 3, 12), forward_cost(sizes, 3, 12, keys_only=True)
    layer = layer_cost(sizes, 3 * sizes.frame_tokens, 12 * sizes.frame_tokens)
    assert whole.flop - layer.flop < keys.flop < whole.flop


def test_a_block_is_its_parts() -> None:
    plan = make_plan("longlive-1.3b", H100)
    limits = {part.name: part.limit_ms for part in plan.parts}
    assert plan.block_ms["tiny"] == pytest.approx(limits["denoise"] + limits["clean"] + limits["decode tiny"])
    assert plan.fps["tiny"] == pytest.approx(12_000 / plan.block_ms["tiny"])
    assert plan.products_ms["tiny"] < plan.block_ms["tiny"]
    assert plan.products_fps["tiny"] == pytest.approx(12_000 / plan.products_ms["tiny"])
    assert all(part.products_ms <= part.limit_ms for part in plan.parts)


def test_fp8_speeds_up_the_maps_alone() -> None:
    cost = Cost(linear_flop=4e12, attention_flop=2e12)
    plain, fp8 = cost.products_ms(H100, fp8=False), cost.products_ms(H100, fp8=True)
    assert plain == pytest.approx(1000 * 6e12 / H100.flops)
    assert fp8 == pytest.approx(1000 * (4e12 / H100.fp8_flops + 2e12 / H100.flops))
    with pytest.raises(ConfigError, match="no FP8"):
        make_plan("longlive-1.3b", replace(H100, fp8_flops=0.0), fp8=True)


def test_bytes_bound_what_computes_little() -> None:
    assert Cost(linear_flop=1.0, product_bytes=3.35e9).products_ms(H100, fp8=False) == pytest.approx(1.0)


def test_a_prompt_is_counted_as_torch_counts_it() -> None:
    sizes = preset("tiny").transformer
    with torch.device("meta"):
        transformer = Transformer(sizes)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            transformer.prompt_kv(transformer.embed_text(torch.empty(1, sizes.text_tokens, sizes.text_dim)))
    assert prompt_cost(sizes).flop == counter.get_total_flops()


def test_sizes() -> None:
    assert resized(LONGLIVE, (240, 416)).transformer.latent_shape == (16, 30, 52)
    for size in ((480, 830), (0, 832)):
        with pytest.raises(ConfigError, match="multiples of 16"):
            resized(LONGLIVE, size)
    with pytest.raises(ConfigError, match="there are: diorama"):
        make_plan("longlife", H100)


def test_a_decoder_is_counted_once_it_runs() -> None:
    sizes = replace(preset("tiny").transformer, latent_height=8, latent_width=8)
    config = TinyDecoderConfig(widths=(8, 8, 8, 8))
    with torch.device("meta"):
        cost = count_decoder(TinyDecoder(config), sizes)
    blocks = sum(
        config.blocks * 8 * side * side * torch.bfloat16.itemsize for side in (8, 16, 32)
    )  # what each block with a memory keeps: one frame
    assert cost.state_bytes == blocks
    assert cost.flop > 2 * 3 * 8 * 9 * 4 * 64 * 64  # its last convolution alone, on four pictures
    assert 0 < cost.activation_bytes < cost.bytes
    assert state_bytes({"a": [torch.zeros(2), (torch.zeros(1), "x", None)]}) == 12


def measurement(plan: Plan, factor: float) -> dict[str, Any]:
    limits = {part.name: part.limit_ms for part in plan.parts}
    regions = {"denoise": limits["denoise"], "clean": limits["clean"], "decode": limits["decode tiny"]}
    return {
        "model": plan.model,
        "regions_ms": {name: factor * value for name, value in regions.items()},
        "recache_ms": factor * limits["recache 9"],
    }


def test_a_measurement_is_held_against_the_plan() -> None:
    plan = make_plan("longlive-1.3b", H100)
    rows = compare(plan, measurement(plan, 4.0), decoder="tiny")
    assert [row.part for row in rows] == ["denoise", "clean", "decode tiny", "recache 9"]
    assert all(row.share == pytest.approx(0.25) for row in rows)
    with pytest.raises(ConfigError, match="diorama"):
        compare(plan, {**measurement(plan, 1.0), "model": "diorama"}, decoder="tiny")


def test_the_best_of_several_runs() -> None:
    times = iter([0.0, 0.0, 0.2, 0.2, 0.25, 0.25, 0.5])
    assert best_of(lambda: None, seconds=0.3, clock=lambda: next(times)) == pytest.approx(0.05)


def test_this_processor_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = iter([0.5, 0.25])
    monkeypatch.setattr(plan_devices, "best_of", lambda work: (work(), next(runs))[1])
    monkeypatch.setattr(plan_devices, "MATRIX", 64)
    monkeypatch.setattr(plan_devices, "COPY_VALUES", 1024)
    device = this_cpu("fp32", 1)
    assert device.flops == 2 * 64**3 / 0.5
    assert device.bytes_per_second == 2 * 4096 / 0.25
    assert (device.precision, device.fp8_flops) == ("fp32", 0.0)


def cells(document: str, row: str) -> list[str]:
    """The cells of a table's row, without what makes them bold."""
    text = (DOCS / document).read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip(" *") for cell in line.strip("|").split("|")[1:]]


@pytest.mark.slow
def test_the_documents_say_what_the_plan_says(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("diffusers")
    monkeypatch.undo()  # the real decoders
    plan, fp8 = make_plan("longlive-1.3b", H100), make_plan("longlive-1.3b", H100, fp8=True)
    memory = {
        "transformer, LoRA merged": ("weights transformer", "weights transformer"),
        "decoder": ("weights decoder tiny", "weights decoder wan"),
        "each world: keys and values of 12 latent frames": ("world cache", "world cache"),
        "each world: the decoder's state": ("world decoder state tiny", "world decoder state wan"),
    }
    for row, uses in memory.items():
        assert cells("longlive.md", row) == [f"{plan.memory_mb[use] / 1000:.2f}" for use in uses]
    for row, name in {"denoise": "denoise", "clean": "clean", "recache of 9 (the sink kept)": "recache 9"}.items():
        figures = []
        for made in (plan, fp8):
            part = made.part(name)
            assert part is not None
            figures += [part.products_ms, part.limit_ms]
        assert [float(cell) for cell in cells("h100-plan.md", row)[1:]] == pytest.approx(figures, rel=0.01)
    rates = [*plan.products_fps.values(), *plan.fps.values()]
    told = [float(cell) for cell in cells("h100-plan.md", "frames/s, tiny decoder")[1:3]]
    assert told == pytest.approx([plan.products_fps["tiny"], plan.fps["tiny"]], abs=0.51)
    assert min(rates) > plan.realtime_fps
