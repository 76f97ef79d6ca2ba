"""Both decoders stream: a latent frame at a time gives what the clip gives at once."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from longtake.model.errors import BackendError, CheckpointError, ShapeError
from longtake.model.longlive.files import open_tensors
from longtake.model.longlive.taehv import LATENT_MEAN, LATENT_STD, TinyDecoder, TinyDecoderConfig
from longtake.model.longlive.wan_vae import WanDecoder, WanEncoder, open_encoder, open_vae, vae_sizes
from longtake.model.longlive.weights import from_file, materialise

SMALL = TinyDecoderConfig(widths=(16, 12, 8, 8))
CPU = torch.device("cpu")


def tiny(config: TinyDecoderConfig = SMALL) -> TinyDecoder:
    torch.manual_seed(2)
    decoder = TinyDecoder(config).eval().requires_grad_(False)
    for parameter in decoder.parameters():
        parameter.normal_(std=0.1)
    return decoder


def latents(frames: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, frames, 16, 4, 6, generator=torch.Generator().manual_seed(9))


def streamed(decoder: Any, clip: Tensor) -> list[Tensor]:
    state = decoder.open(clip.shape[0])
    return [decoder.decode(frame, state) for frame in clip.split(1, dim=1)]


def test_tiny_streaming_equals_the_whole_clip() -> None:
    decoder, clip = tiny(), latents(5, batch=2)
    frames = streamed(decoder, clip)
    assert [part.shape[1] for part in frames] == [1, 4, 4, 4, 4]
    whole = decoder.decode(clip, decoder.open(2))
    assert whole.shape == (2, 17, 3, 32, 48)
    assert (torch.cat(frames, 1) - whole).abs().max() < 1e-5
    assert whole.std() > 0.02


def test_tiny_concatenates_nothing_and_maps_before_it_enlarges() -> None:
    """Its time on a GPU is in passes over its activations."""
    decoder, clip = tiny(), latents(3)
    state = decoder.open()
    decoder.decode(clip, state)
    seen: list[tuple[str, list[tuple[int, ...]]]] = []

    class Operators(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append((func._schema.name, [tuple(x.shape) for x in args if isinstance(x, Tensor)]))
            return func(*args, **(kwargs or {}))

    with Operators():
        decoder.decode_block(clip, state)
    names = [name for name, _ in seen]
    assert "aten::cat" not in names
    maps = [shapes[0][2:] for name, shapes in seen if "conv" in name and shapes[1][2:] == (1, 1)]
    assert maps == [(4, 6), (8, 12), (16, 24)], "at the size before each enlargement"


def test_tiny_memory_reaches_back() -> None:
    """The last latent frame alone looks different: streaming without its state would show."""
    decoder, clip = tiny(), latents(3)
    whole = decoder.decode(clip, decoder.open())
    alone = decoder.decode(clip[:, -1:], decoder.open())
    assert (whole[:, -1] - alone[:, -1]).abs().max() > 1e-2


def test_tiny_computes_what_its_public_names_say() -> None:
    """A plain walk over the weights by their public names, frame by frame."""
    decoder, clip = tiny().double(), latents(2).double()
    weights = decoder.state_dict()

    def conv(x: Tensor, name: str) -> Tensor:
        weight = weights[f"decoder.{name}.weight"]
        return F.conv2d(x, weight, weights.get(f"decoder.{name}.bias"), padding=weight.shape[-1] // 2)

    frames = [conv(torch.tanh(frame / 3) * 3, "1").relu() for frame in clip[0].split(1)]
    for stage, times in enumerate(SMALL.grows):
        first = 3 + 6 * stage
        for place in range(first, first + 3):
            mixed, past = [], torch.zeros_like(frames[0])
            for frame in frames:
                x = conv(torch.cat([frame, past], 1), f"{place}.conv.0").relu()
                x = conv(conv(x, f"{place}.conv.2").relu(), f"{place}.conv.4")
                mixed.append((x + frame).relu())
                past = frame
            frames = mixed
        frames = [F.interpolate(frame, scale_factor=2) for frame in frames]
        frames = [part for frame in frames for part in conv(frame, f"{first + 4}.conv").chunk(times, dim=1)]
        frames = [conv(frame, f"{first + 5}") for frame in frames]
    wanted = torch.cat([conv(frame.relu(), "22") for frame in frames])[3:].clamp(0, 1)
    made = decoder.decode(clip, decoder.open())[0]
    assert wanted.std() > 0.02
    assert (made - wanted).abs().max() < 1e-9


def test_tiny_has_the_public_shapes() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in TinyDecoder(TinyDecoderConfig()).state_dict().items()}
    assert shapes["decoder.1.weight"] == (256, 16, 3, 3)
    assert shapes["decoder.3.conv.0.weight"] == (256, 512, 3, 3)
    assert shapes["decoder.7.conv.weight"] == (256, 256, 1, 1)
    assert shapes["decoder.13.conv.weight"] == (256, 128, 1, 1)
    assert shapes["decoder.19.conv.weight"] == (128, 64, 1, 1)
    assert shapes["decoder.20.weight"] == (64, 64, 3, 3)
    assert shapes["decoder.22.weight"] == (3, 64, 3, 3)
    assert "decoder.8.bias" not in shapes


def test_tiny_takes_raw_latents_where_it_was_trained_on_them() -> None:
    raw = tiny(TinyDecoderConfig(widths=SMALL.widths, latents="raw"))
    clip = latents(2)
    mean, std = (torch.tensor(values).view(16, 1, 1) for values in (LATENT_MEAN, LATENT_STD))
    wanted = tiny().decode(clip * std + mean, TinyDecoder.open(raw))
    assert torch.equal(raw.decode(clip, raw.open()), wanted)


def test_tiny_refuses_other_latents() -> None:
    decoder = tiny()
    with pytest.raises(ShapeError):
        decoder.decode(torch.zeros(1, 1, 4, 4, 6), decoder.open())


def random_vae() -> Any:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(4)
    vae = diffusers.AutoencoderKLWan(base_dim=8, z_dim=16).eval().requires_grad_(False)
    for parameter in vae.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    return vae


def wan(path: Path) -> WanDecoder:
    module = WanDecoder(**{"base_dim": 8, **vae_sizes(path)})
    materialise(module, from_file(open_vae(path), module, what="the VAE"), dtype=torch.float32, device=CPU)
    return module


def whole_clip(vae: Any, clip: Tensor) -> Tensor:
    """diffusers' own decode of the de-normalised clip."""
    mean, std = (torch.tensor(v).view(1, 16, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
    decoded: Tensor = vae.decode(clip.transpose(1, 2) * std + mean).sample
    return (decoded.transpose(1, 2) + 1) / 2


@pytest.mark.parametrize("layout", ["wan", "diffusers"])
def test_wan_streaming_equals_the_whole_clip(checkpoints: Any, tmp_path: Path, layout: str) -> None:
    vae, clip = random_vae(), latents(4)
    if layout == "wan":
        path = checkpoints.wan_vae(tmp_path, vae)
    else:
        vae.save_pretrained(tmp_path / "vae")
        path = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
        assert vae_sizes(path)["base_dim"] == 8
    decoder = wan(path)
    frames = streamed(decoder, clip)
    assert [part.shape[1] for part in frames] == [1, 4, 4, 4]
    wanted = whole_clip(vae, clip)
    assert wanted.std() > 0.01
    assert (torch.cat(frames, 1) - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("layout", ["wan", "diffusers"])
def test_a_picture_is_encoded_as_a_videos_first_frame(checkpoints: Any, tmp_path: Path, layout: str) -> None:
    vae = random_vae()
    if layout == "wan":
        path = checkpoints.wan_vae(tmp_path, vae)
    else:
        vae.save_pretrained(tmp_path / "vae")
        path = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    module = WanEncoder(**{"base_dim": 8, **vae_sizes(path)})
    materialise(module, from_file(open_encoder(path), module, what="the VAE"), dtype=torch.float32, device=CPU)
    pictures = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(3))
    mean, std = (torch.tensor(v).view(1, 16, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
    wanted = (vae.encode(2 * pictures.unsqueeze(2) - 1).latent_dist.mode() - mean) / std
    latents = module.encode(pictures)
    assert latents.shape == (2, 1, 16, 4, 6)
    assert wanted.std() > 0.01
    assert (latents - wanted.transpose(1, 2)).abs().max() < 1e-5


def test_wan_worlds_do_not_share_their_state(checkpoints: Any, tmp_path: Path) -> None:
    vae = random_vae()
    decoder = wan(checkpoints.wan_vae(tmp_path, vae))
    one, other = latents(3), latents(3).flip(1)
    states = decoder.open(1), decoder.open(1)
    made: list[list[Tensor]] = [[], []]
    for index in range(3):
        for clip, state, frames in zip((one, other), states, made, strict=True):
            frames.append(decoder.decode(clip[:, index : index + 1], state))
            if index == 1 and state is states[0]:
                saved = copy.deepcopy(state)
    for clip, frames in zip((one, other), made, strict=True):
        assert (torch.cat(frames, 1) - whole_clip(vae, clip)).abs().max() < 1e-5
    assert torch.equal(decoder.decode(one[:, 2:], saved), made[0][2])


def test_wan_batches(checkpoints: Any, tmp_path: Path) -> None:
    vae, clip = random_vae(), latents(2, batch=2)
    decoder = wan(checkpoints.wan_vae(tmp_path, vae))
    assert (torch.cat(streamed(decoder, clip), 1) - whole_clip(vae, clip)).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["tiny", "wan"])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_whole_blocks_are_the_same_stream(checkpoints: Any, tmp_path: Path, kind: str, block: int) -> None:
    decoder: Any = tiny() if kind == "tiny" else wan(checkpoints.wan_vae(tmp_path, random_vae()))
    clip = latents(7, batch=2)
    wanted = torch.cat(streamed(decoder, clip), 1)
    state = decoder.open(2)
    made = torch.cat([decoder.decode_block(part, state) for part in clip.split(block, dim=1)], 1)
    assert made.shape == wanted.shape
    assert (made - wanted).abs().max() < 1e-5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["tiny", "wan"])
def test_on_the_gpu_as_on_the_cpu(checkpoints: Any, tmp_path: Path, kind: str) -> None:
    decoder: Any = tiny() if kind == "tiny" else wan(checkpoints.wan_vae(tmp_path, random_vae()))
    clip = latents(3)
    wanted = torch.cat(streamed(decoder, clip), 1)
    made = torch.cat(streamed(decoder.cuda(), clip.cuda()), 1)
    torch.testing.assert_close(made.cpu(), wanted, rtol=1e-2, atol=1e-2)  # TF32 convolutions


def test_without_diffusers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(BackendError, match=r"longtake\[longlive\].*or use the tiny decoder"):
        WanDecoder()


def test_another_vae_is_refused(checkpoints: Any, tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path / "Wan2.1_VAE.pth", {"decoder.conv1.weight": torch.zeros(3)})
    with pytest.raises(CheckpointError, match=r"Wan2\.1_VAE\.pth lacks post_quant_conv"):
        wan(path)


def test_wan_refuses_other_latents() -> None:
    pytest.importorskip("diffusers")
    decoder = WanDecoder(base_dim=8)
    with pytest.raises(ShapeError):
        decoder.decode(torch.zeros(1, 1, 4, 4, 6), decoder.open(1))


def test_the_public_file_loads_without_its_encoder(checkpoints: Any, tmp_path: Path) -> None:
    path = checkpoints.tiny_decoder(tmp_path)
    file = open_tensors(path).renamed(lambda name: None if name.startswith("encoder.") else name)
    module: nn.Module
    with torch.device("meta"):
        module = TinyDecoder(SMALL)
    materialise(module, from_file(file, module, what="it"), dtype=torch.float32, device=CPU)
    stored = torch.load(path, weights_only=True)
    assert all(torch.equal(value, stored[name]) for name, value in module.state_dict().items())
