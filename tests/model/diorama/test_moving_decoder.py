import pytest
import torch
from torch import Tensor

from longtake.model.diorama.autoencoder_parts import AutoencoderConfig
from longtake.model.diorama.moving_decoder import MovingDecoder, Parts

SMALL = AutoencoderConfig(decoder_widths=(16, 8, 8), decoder_layers=(1, 1, 1))
MOTION_CHANNELS = 20


@pytest.fixture
def decoder() -> MovingDecoder:
    torch.manual_seed(0)
    made = MovingDecoder(SMALL).eval()
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return made


def pattern(shift: float, height: int = 32, width: int = 48) -> Tensor:
    """A picture [1, 3, H, W] around zero of a wave that lies `shift` pixels further right."""
    columns = torch.arange(width) - shift
    wave = 0.3 * torch.sin(columns * (2 * torch.pi / 24))
    return wave.expand(1, 3, height, width).contiguous()


def moving(velocity: float) -> Tensor:
    """The motion of a block, [1, 20, h, w], whose content moves right by `velocity` pixels of the encoder a frame."""
    motion = torch.zeros(1, MOTION_CHANNELS, 8, 12)
    motion[:, 0] = velocity
    motion[:, 17:] = 30.0  # all of the blend is kept
    return motion


@torch.inference_mode()
def test_streamed_decode_equals_the_whole_clip(decoder: MovingDecoder) -> None:
    latents = torch.randn(2, 5, 16, 4, 6)
    whole = decoder.decode_clip(latents).clamp(0, 1)
    state = decoder.open(2)
    streamed = torch.cat([decoder.decode(part, state) for part in latents.split([1, 3, 1], 1)], 1)
    assert whole.shape == (2, 20, 3, 64, 96)
    torch.testing.assert_close(streamed, whole, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_its_memory_reaches_two_latent_frames_back(decoder: MovingDecoder) -> None:
    latents, other = torch.randn(2, 1, 4, 16, 4, 6)

    def last_block(*changed: int) -> Tensor:
        clip = latents.clone()
        for place in changed:
            clip[:, place] = other[:, place]
        state = decoder.open()
        return decoder.decode(clip, state)[:, -4:]

    assert torch.equal(last_block(0), last_block())
    assert not torch.allclose(last_block(1), last_block())


@torch.inference_mode()
def test_frames_between_two_key_pictures_move_evenly(decoder: MovingDecoder) -> None:
    # Two pixels of the output a frame are one of the encoder; the key before is four frames older.
    parts = Parts(key=pattern(8.0), motion=moving(1.0), change=torch.zeros(1, 3, 3, 32, 48))
    frames = decoder.frames(parts, pattern(0.0))[0]
    for index, frame in enumerate(frames):
        wanted = pattern(2.0 * (index + 1))[0] + 0.5
        torch.testing.assert_close(frame[..., 8:-8], wanted[..., 8:-8], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_without_motion_a_picture_fades_into_the_next(decoder: MovingDecoder) -> None:
    parts = Parts(key=torch.full((1, 3, 32, 48), 0.4), motion=moving(0.0), change=torch.zeros(1, 3, 3, 32, 48))
    frames = decoder.frames(parts, torch.zeros(1, 3, 32, 48))
    torch.testing.assert_close(frames.mean((0, 2, 3, 4)), torch.tensor([0.6, 0.7, 0.8, 0.9]))


@torch.inference_mode()
def test_a_blend_can_be_left_out(decoder: MovingDecoder) -> None:
    change = torch.zeros(1, 3, 3, 32, 48)
    change[:, :, 1] = 0.25
    motion = moving(0.0)
    motion[:, 18] = -30.0
    frames = decoder.frames(Parts(key=torch.full((1, 3, 32, 48), 0.4), motion=motion, change=change), pattern(0.0))
    torch.testing.assert_close(frames[:, 1], torch.full((1, 3, 32, 48), 0.75), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_changes_are_added_to_the_frames_before_the_key_picture(decoder: MovingDecoder) -> None:
    change = torch.zeros(1, 3, 3, 32, 48)
    change[:, :, 1] = 0.25
    parts = Parts(key=torch.zeros(1, 3, 32, 48), motion=moving(0.0), change=change)
    frames = decoder.frames(parts, parts.key)
    torch.testing.assert_close(frames.mean((0, 2, 3, 4)), torch.tensor([0.5, 0.75, 0.5, 0.5]))


@torch.inference_mode()
def test_lean_is_how_far_blends_depart_from_even_ones() -> None:
    made = MovingDecoder(SMALL).eval()
    latents = torch.randn(1, 2, 16, 4, 6)
    frames, lean = made.decode_with_lean(latents)
    assert torch.equal(frames, made.decode_clip(latents))
    assert float(lean) == pytest.approx(0, abs=1e-6)
    made.motion.bias[14:17] = -20.0  # only the newer key picture counts: 0.75, 0.5 and 0.25 less than even
    assert float(made.decode_with_lean(latents)[1]) == pytest.approx(0.5, abs=1e-3)


def test_an_untrained_one_changes_next_to_nothing_between_its_key_pictures() -> None:
    torch.manual_seed(1)
    made = MovingDecoder(SMALL).eval()
    with torch.inference_mode():
        frames = made.decode_clip(torch.randn(1, 1, 16, 4, 6))[0]
    torch.testing.assert_close(frames[0], frames[3], rtol=0, atol=0.02)


def test_a_latent_frame_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a latent frame is 4 frames here, not 2"):
        MovingDecoder(AutoencoderConfig(frames_per_latent=2))
    with pytest.raises(ValueError, match="frames_before is 0 or 1, not 2"):
        AutoencoderConfig(frames_before=2)
