"""Predictions against what was measured on hardware, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import pytest

from longtake.model.config import preset
from longtake.model.errors import BackendError, ConfigError
from longtake.model.evaluation.plan_devices import DEVICES, Rates
from longtake.model.evaluation.plan_measured import MEASURED, MeasuredBlock
from longtake.model.evaluation.plan_parts import DecoderCost
from longtake.model.evaluation.plan_predict import (
    Setup,
    options_of,
    predict,
    predict_recache,
    predictable,
)
from longtake.model.longlive.plan import LongLivePlan

LONGLIVE = preset("longlive-1.3b")
PAGE = Path(__file__).resolve().parents[3] / "docs" / "h100-plan.md"


def decoder(tflop: float, state_bytes: int) -> DecoderCost:
    return DecoderCost(
        flop=tflop * 1e12, bytes=1e9, weights_bytes=20_000_000, state_bytes=state_bytes, activation_bytes=1
    )


DECODERS = {"tiny": decoder(0.527, 67_000_000), "wan": decoder(13.55, 1_889_000_000)}
"""counting Wan's takes seconds"""


def rates(device: str) -> Rates:
    found = DEVICES[device].rates
    assert found is not None
    return found


@pytest.mark.parametrize("measured", MEASURED, ids=lambda m: f"{m.device}-{m.ms}")
def test_what_was_measured_is_predicted_within_a_tenth(measured: MeasuredBlock) -> None:
    found = rates(measured.device)
    if measured.recache_frames:
        predicted = predict_recache(LONGLIVE, measured.recache_frames, found, measured.setup)
    else:
        predicted = predict(LONGLIVE, DECODERS, found, measured.setup).block_ms
    assert predicted == pytest.approx(measured.ms, rel=0.1)


def test_the_table_has_the_figures_that_are_told() -> None:
    """Frames a second of the code as it was and of the study, as the documents say them."""
    told = {("h100", 38.8), ("h200", 40.7), ("h200", 50.4), ("h200", 56.3)}
    assert told <= {(m.device, round(12_000 / m.ms, 1)) for m in MEASURED}


def test_the_tiny_decoder_is_counted_as_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise BackendError("not installed")

    monkeypatch.setattr("longtake.model.longlive.plan.WanDecoder", none)
    counted = LongLivePlan("longlive-1.3b").decoders(LONGLIVE.transformer)
    assert counted["tiny"].flop == pytest.approx(DECODERS["tiny"].flop, rel=0.01)


def test_a_block_is_its_kinds_of_work() -> None:
    found = predict(LONGLIVE, DECODERS, rates("h200"), Setup(execution="eager", graphs=False))
    kinds = (found.attention_ms, found.products_ms, found.between_ms, found.host_ms, found.decoder_ms)
    assert found.block_ms == pytest.approx(sum(kinds))
    assert all(kinds)
    assert found.fps == pytest.approx(12_000 / found.block_ms)
    quiet = predict(LONGLIVE, DECODERS, rates("h200"), Setup(execution="eager", decoder=None))
    assert quiet.block_ms == pytest.approx(found.block_ms - found.host_ms - found.decoder_ms)


def test_every_option_has_its_line() -> None:
    gains = {gain.option: gain for gain in options_of(LONGLIVE, DECODERS, rates("h100"))}
    first = next(iter(gains.values()))
    assert first.saved_ms == 0
    faster = ("--linear fp8", "--option attention=flash3-fp8", "--fast")
    slower = ("--option attention=sdpa", "--option execution=eager", "--compile", "--decoder wan")
    assert all((gains[name].saved_ms or 0) > 0 for name in faster)
    assert all((gains[name].saved_ms or 0) < 0 for name in slower)
    linear, attention, both = (gains[name].saved_ms or 0 for name in faster)
    assert both == pytest.approx(linear + attention)
    ring = gains["--option cache=fp8"]
    assert (ring.predicted, ring.saved_ms) == (None, None)
    assert -1725 < ring.world_mb < -1500
    assert gains["--decoder wan"].world_mb == pytest.approx(1822)
    assert gains["--linear fp8"].once_mb == pytest.approx(1250, abs=1)


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        (Setup(attention="flash2"), "attention 'flash2'; there are: flash3"),
        (Setup(linear="int8"), "linear 'int8'"),
        (Setup(execution="cpu"), "execution 'cpu'"),
        (Setup(execution="eager", linear="fp8"), "8-bit linears in execution 'eager'"),
        (Setup(decoder="own"), "decoder 'own'"),
    ],
)
def test_what_was_not_measured_is_not_predicted(setup: Setup, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        predict(LONGLIVE, DECODERS, rates("h200"), setup)


def test_rates_hold_for_the_width_that_was_measured() -> None:
    narrow = replace(LONGLIVE, transformer=replace(LONGLIVE.transformer, dim=768, heads=6))
    assert predictable(LONGLIVE, rates("h100"))
    assert not predictable(narrow, rates("h100"))
    assert not predictable(LONGLIVE, DEVICES["4090"].rates)
    with pytest.raises(ConfigError, match="width of 1536, not 768"):
        predict(narrow, DECODERS, rates("h100"))
    with pytest.raises(ConfigError, match="recache 5"):
        predict_recache(LONGLIVE, 5, rates("h100"))


def test_the_page_says_what_is_predicted() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    per_card = [options_of(LONGLIVE, DECODERS, rates(card)) for card in ("h100", "h200")]
    found = 0
    for gains in zip(*per_card, strict=True):
        told = next((row for row in rows if row[0].startswith(f"`{gains[0].option}`")), None)
        if told is None or gains[0].predicted is None:
            continue
        figures = [value for gain in gains if (p := gain.predicted) for value in (p.block_ms, p.fps)]
        assert [float(cell) for cell in told[1:5]] == pytest.approx(figures, rel=0.003)
        found += 1
    assert found == 7
    blocks = [measured for measured in MEASURED if not measured.recache_frames]
    told_ms = [row[2].split(",")[0] for row in rows if row[0] in ("H100", "H200")]
    assert {f"{block.ms:.0f}" for block in blocks if block.ms != 263} <= set(told_ms)
