"""Diorama's autoencoder, text encoder and probe."""

import copy

import pytest
import torch

from longtake.model.diorama.autoencoder import Autoencoder, psnr_db
from longtake.model.diorama.autoencoder_parts import AutoencoderConfig
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.probe import Probe, ProbeConfig
from longtake.model.diorama.reading import essence
from longtake.model.diorama.text_encoder import TextEncoder, TextEncoderConfig, split_words, word_buckets

SMALL = AutoencoderConfig(
    encoder_widths=(8, 8, 16), decoder_widths=(16, 8, 8), encoder_layers=(1, 1, 1), decoder_layers=(1, 1, 1), upscale=1
)


@pytest.fixture
def autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    model = Autoencoder(SMALL).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return model


@torch.inference_mode()
def test_streamed_decode_equals_the_whole_clip(autoencoder: Autoencoder) -> None:
    latents = torch.randn(2, 5, 16, 4, 6)
    whole = autoencoder.decode_clip(latents).clamp(0, 1)
    state = autoencoder.decoder.open(2)
    streamed = torch.cat([autoencoder.decoder.decode(part, state) for part in latents.split([1, 3, 1], 1)], 1)
    assert whole.shape == (2, 20, 3, 32, 48)
    torch.testing.assert_close(streamed, whole, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_decoder_remembers_one_latent_frame(autoencoder: Autoencoder) -> None:
    a, b, c = torch.randn(3, 1, 1, 16, 4, 6)
    results = []
    for first in (a, c):
        state = autoencoder.decoder.open()
        autoencoder.decoder.decode(first, state)
        kept = copy.deepcopy(state)
        results.append(autoencoder.decoder.decode(b, state))
        assert torch.equal(autoencoder.decoder.decode(b, kept), results[-1])
    assert not torch.allclose(results[0], results[1])


def test_encoder_normalises_by_statistics(autoencoder: Autoencoder) -> None:
    latents = autoencoder.train().encode(torch.rand(4, 8, 3, 32, 48))
    assert latents.shape == (4, 2, 16, 4, 6)
    torch.testing.assert_close(latents.var((0, 1, 3, 4), correction=0), torch.ones(16), rtol=0.05, atol=0.05)


def test_encode_refuses_a_broken_group_of_frames(autoencoder: Autoencoder) -> None:
    with pytest.raises(ValueError, match="6 frames are not a multiple of 4"):
        autoencoder.encode(torch.rand(1, 6, 3, 32, 48))


@torch.inference_mode()
def test_an_encoder_that_sees_the_frame_before_streams() -> None:
    torch.manual_seed(0)
    model = Autoencoder(SMALL).eval()
    frames = torch.rand(2, 12, 3, 32, 48)
    whole = model.encode(frames)
    later = model.encode(frames[:, 4:], frames[:, 3:4])
    torch.testing.assert_close(later, whole[:, 1:], rtol=0, atol=1e-5)
    torch.testing.assert_close(model.encode(frames, torch.full_like(frames[:, :1], 0.5)), whole)
    begun = model.encode(frames[:, 4:])
    torch.testing.assert_close(begun[:, 1:], later[:, 1:], rtol=0, atol=1e-5)
    assert not torch.allclose(begun[:, 0], later[:, 0], atol=1e-2)


def test_psnr_of_a_known_error() -> None:
    a = torch.zeros(1, 3, 8, 8)
    assert float(psnr_db(a + 0.1, a)) == pytest.approx(20.0, abs=1e-3)


def test_words_are_split_and_hashed_alike_everywhere() -> None:
    assert split_words("A snow-white Fox's den, at 9!") == ["a", "snow", "white", "foxs", "den", "at"]
    config = TextEncoderConfig()
    rows = word_buckets("balloon", config)
    # The table is trained with these rows: another hash would make the weights worthless.
    assert rows[:3] == [10515, 4330, 6970]
    shared = len(set(rows) & set(word_buckets("baloon", config)))
    assert shared >= 3 > len(set(rows) & set(word_buckets("mountain", config)))


def test_text_encoder_takes_any_text() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(TextEncoderConfig()).eval()
    texts = ["", "   ", "a fox", "狐", "x" * 5000, "night " * 500]
    tokens = encoder.encode(texts)
    assert tokens.shape == (6, 6, 192)
    assert torch.isfinite(tokens).all()
    # Padding by longer neighbours changes nothing.
    torch.testing.assert_close(tokens[2:3], encoder.encode(["a fox"]), rtol=1e-4, atol=1e-4)
    # A text that is too long keeps its end, since what is said last wins.
    tail = encoder.encode(["red " * 100 + "a blue fox at night"])
    torch.testing.assert_close(tail, encoder.encode(["red " * 43 + "a blue fox at night"]), rtol=1e-4, atol=1e-4)


def test_probe_votes_over_frames_of_any_size() -> None:
    torch.manual_seed(0)
    probe = Probe(ProbeConfig()).eval()
    frames = torch.randint(0, 256, (8, 192, 320, 3), dtype=torch.uint8)
    reading = probe.read(frames)
    assert set(reading.labels) == set(SCORED)
    for kind in SCORED:
        assert reading.labels[kind] in LABELS[kind]
        assert 1 / len(LABELS[kind]) / 2 < reading.confidence[kind] <= 1


@torch.inference_mode()
def test_what_a_long_text_says_last_reaches_the_encoder_whole() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(TextEncoderConfig()).eval()
    long = "a red fox runs " + "so very quietly and happily " * 9 + "through the meadow by day"
    tokens = encoder.encode([f"{long}, over the ocean, at night"])
    assert not torch.allclose(tokens, encoder.encode([long]))
    torch.testing.assert_close(tokens, encoder.encode([essence(f"{long}, over the ocean, at night", 24)]))
