"""Wan's own decoder (diffusers' `AutoencoderKLWan`) as a stream: a latent frame goes in, its frames come out.

Its convolutions look back in time. Diffusers keeps what they need in a list while it decodes a clip. Here that list
belongs to the world, so a take is decoded frame by frame, and takes share the weights. The first latent frame becomes
one frame and every later one becomes four, exactly as when a whole clip is decoded.

The state of a 480 x 832 take is about 1.9 GB in bf16.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longtake.model.errors import BackendError, ShapeError
from longtake.model.longlive.files import TensorFile, config_beside, open_tensors
from longtake.model.longlive.names import VAE_DECODER, VAE_ENCODER, VAE_ENCODER_PREFIXES

WAN2_1: dict[str, Any] = {
    "base_dim": 96,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
}
"""Sizes of the public VAE, under diffusers' names."""

_NOT_SIZES = ("_class_name", "_diffusers_version", "_name_or_path")


@dataclass(kw_only=True)
class WanDecoderState:
    """The decoder's memory of a take: the last input of each convolution."""

    features: list[Any] = field(default_factory=list)
    started: bool = False


class WanDecoder(nn.Module):
    """The decoding half of a Wan VAE. It starts without weights.

    Args:
        sizes: arguments of `AutoencoderKLWan` that differ from Wan2.1's, the means and deviations of the 16
            channels included.

    Raises:
        BackendError: diffusers is not installed.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__()
        # `longtake.model.longlive.weights.materialise` allocates it. The encoding half is never allocated.
        whole = _whole(sizes)
        self.post_quant_conv, self.decoder = whole.post_quant_conv, whole.decoder
        mean, std = torch.tensor(whole.config.latents_mean), torch.tensor(whole.config.latents_std)
        self._mean, self._std = mean.view(-1, 1, 1), std.view(-1, 1, 1)
        self._convolutions = sum(isinstance(part, nn.Conv3d) for part in self.decoder.modules())

    def open(self, batch: int = 1) -> WanDecoderState:
        """Return the state of a new take. Its batch is that of the first latents."""
        return WanDecoderState(features=[None] * self._convolutions)

    @torch.inference_mode()
    def decode(self, latents: Tensor, state: WanDecoderState) -> Tensor:
        """Decode the next latent frames; updates `state`.

        Args:
            latents: [B, F, C, h, w] float, normalised, as the transformer makes them.
            state: from `open`; changed in place.

        Returns:
            [B, n, 3, 8 h, 8 w] float in 0..1; n is 4 F, or 4 F - 3 with a take's first latent frame.

        Raises:
            ShapeError: the latents do not fit this decoder.
        """
        self._check(latents)
        pictures = [self._decode_chunk(frame, state) for frame in latents.split(1, dim=1)]
        return torch.cat(pictures, dim=1)

    @torch.inference_mode()
    def decode_block(self, latents: Tensor, state: WanDecoderState) -> Tensor:
        """Decode a block's latent frames at once; as `decode`, with more memory and fewer launches.

        A take's first latent frame becomes one frame and not four, so it is decoded by itself.
        """
        self._check(latents)
        alone = 0 if state.started else 1
        pictures = [
            self._decode_chunk(part, state) for part in (latents[:, :alone], latents[:, alone:]) if part.numel()
        ]
        return torch.cat(pictures, dim=1)

    def _check(self, latents: Tensor) -> None:
        channels = len(self._mean)
        if latents.ndim != 5 or latents.shape[2] != channels:
            raise ShapeError(f"latents {tuple(latents.shape)} are not [B, F, {channels}, h, w]")

    def _decode_chunk(self, latents: Tensor, state: WanDecoderState) -> Tensor:
        if self._mean.device != latents.device:
            self._mean, self._std = self._mean.to(latents.device), self._std.to(latents.device)
        raw = (latents.float() * self._std + self._mean).to(self.post_quant_conv.weight.dtype).transpose(1, 2)
        out = self.decoder(
            self.post_quant_conv(raw), feat_cache=state.features, feat_idx=[0], first_chunk=not state.started
        )
        state.started = True
        pictures: Tensor = out.transpose(1, 2).clamp(-1, 1)
        return (pictures + 1) / 2


class WanEncoder(nn.Module):
    """The encoding half of a Wan VAE, for single pictures. It starts without weights.

    Args:
        sizes: as for `WanDecoder`.

    Raises:
        BackendError: diffusers is not installed.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__()
        whole = _whole(sizes)
        self.encoder, self.quant_conv = whole.encoder, whole.quant_conv
        mean, std = torch.tensor(whole.config.latents_mean), torch.tensor(whole.config.latents_std)
        self._mean, self._std = mean.view(-1, 1, 1), std.view(-1, 1, 1)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Return the latents of pictures, each alone, as a video's first frame is encoded.

        Args:
            pictures: [B, 3, 8 h, 8 w] float in 0..1.

        Returns:
            [B, 1, C, h, w] float32, normalised, as the transformer makes them: the mean, not a sample.
        """
        clips = (2 * pictures - 1).to(self.quant_conv.weight.dtype).unsqueeze(2)
        mean = self.quant_conv(self.encoder(clips)).transpose(1, 2)[:, :, : len(self._mean)]
        latents: Tensor = (mean.float() - self._mean.to(mean.device)) / self._std.to(mean.device)
        return latents


def _whole(sizes: dict[str, Any]) -> Any:
    """Return diffusers' VAE on the meta device, without memory; raises BackendError without diffusers."""
    try:
        from diffusers import AutoencoderKLWan
    except ImportError:
        raise BackendError(
            "Wan's VAE needs diffusers: pip install 'longtake[longlive]', or use the tiny decoder"
        ) from None
    with torch.device("meta"):
        return AutoencoderKLWan(**{**WAN2_1, **sizes})


def vae_sizes(path: Path) -> dict[str, Any]:
    """Return the sizes in a Diffusers VAE's `config.json`; empty for Wan's own file, which has the default ones."""
    return {name: value for name, value in config_beside(path).items() if name not in _NOT_SIZES}


def open_vae(path: Path) -> TensorFile:
    """Open the decoding half of a VAE's file in either layout, under diffusers' names; raises CheckpointError."""

    def rename(name: str) -> str | None:
        if name.startswith(VAE_ENCODER_PREFIXES):
            return None
        return VAE_DECODER.forward(name) or name

    return open_tensors(path, ("state_dict",)).renamed(rename)


def open_encoder(path: Path) -> TensorFile:
    """Open the encoding half, as `open_vae` the other."""

    def rename(name: str) -> str | None:
        # `encoder.` and `conv1` are Wan's names, `encoder.` and `quant_conv` diffusers'.
        return (VAE_ENCODER.forward(name) or name) if name.startswith(VAE_ENCODER_PREFIXES) else None

    return open_tensors(path, ("state_dict",)).renamed(rename)
