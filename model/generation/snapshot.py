"""A saved world: exact (with cache and decoder state) or compact (latents and prompts; the rest comes by recache).

Either is one safetensors file, whose metadata is JSON.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from longtake.model.cache.base import CacheState
from longtake.model.config import GeneratorConfig
from longtake.model.errors import SnapshotError
from longtake.model.execution.base import Actions
from longtake.model.generation.noise import NoiseSource, SeededNoise
from longtake.model.generation.packing import Packed
from longtake.model.generation.world import CachedFrame, Prompt, World
from longtake.model.json_object import parse_object

FORMAT = "longtake-snapshot-1"


@dataclass(frozen=True, kw_only=True)
class Exact:
    """What only an exact snapshot holds.

    Attributes:
        cache: keys and values.
        decoder_state: the decoder's memory; None without a decoder.
    """

    cache: CacheState
    decoder_state: Packed | None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A saved world, restored by `Generator.restore` as often as wanted (a fork is a second restore).

    Attributes:
        config: of the generator that made it.
        noise: the world's random stream; its position is the block's index.
        block, next_tick, groups: the world's counters.
        first_frame, end_frame: the cache's: frames since it was emptied, and the next one.
        prompt: in force from the next block on.
        past, sink: the latent frames of window and sink, with the prompts and actions that they were written under.
        exact: cache and decoder state, or None in a compact snapshot.
        actions: what the next blocks are made under.
    """

    config: GeneratorConfig
    noise: NoiseSource
    block: int
    next_tick: int
    groups: int
    first_frame: int
    end_frame: int
    prompt: Prompt
    past: tuple[CachedFrame, ...]
    sink: tuple[CachedFrame, ...]
    exact: Exact | None = None
    actions: Actions = ()

    @classmethod
    def of(cls, world: World, config: GeneratorConfig, exact: Exact | None = None) -> "Snapshot":
        """Save a world."""
        return cls(
            config=config,
            noise=world.noise,
            block=world.block,
            next_tick=world.next_tick,
            groups=world.groups,
            first_frame=world.cache.first_frame,
            end_frame=world.cache.end_frame,
            prompt=world.prompt,
            past=tuple(world.past),
            sink=tuple(world.sink),
            exact=exact,
            actions=world.actions,
        )

    def compact(self) -> "Snapshot":
        """Return the snapshot without cache and decoder state."""
        return replace(self, exact=None)

    def to_bytes(self) -> bytes:
        """Return the snapshot as one safetensors file. Raises SnapshotError if its noise is not seeded."""
        if not isinstance(self.noise, SeededNoise):
            raise SnapshotError("a world with recorded noise cannot be saved")
        prompts = _distinct([self.prompt, *(w.prompt for w in (*self.past, *self.sink))])
        tensors = {f"prompt/{index}": prompt.embedding.cpu().contiguous() for index, prompt in enumerate(prompts)}
        for name, frames in (("past", self.past), ("sink", self.sink)):
            if frames:
                tensors[name] = torch.stack([w.latents for w in frames], dim=1).cpu()
        meta = {
            "format": FORMAT,
            "config": asdict(self.config),
            "seeds": self.noise.seeds,
            "block": self.block,
            "pictures": self.next_tick,
            "groups": self.groups,
            "first_frame": self.first_frame,
            "end_frame": self.end_frame,
            "texts": [prompt.texts for prompt in prompts],
            "prompt": prompts.index(self.prompt),
            "actions": self.actions,
            "past": [(w.frame, prompts.index(w.prompt), w.group, w.actions) for w in self.past],
            "sink": [(w.frame, prompts.index(w.prompt), w.group, w.actions) for w in self.sink],
        }
        if self.exact is not None:
            meta["exact"] = _write_exact(self.exact, tensors)
        return save_tensors(tensors, metadata={"snapshot": json.dumps(meta)})

    @classmethod
    def from_bytes(cls, data: bytes, config: GeneratorConfig) -> "Snapshot":
        """Read what `to_bytes` wrote, for a generator of the given config.

        Raises:
            SnapshotError: the bytes are not a snapshot, or one of another config.
        """
        meta = _read_meta(data)
        if meta["config"] != json.loads(json.dumps(asdict(config))):
            raise SnapshotError("the snapshot was made by a generator with another configuration")
        tensors = load_tensors(data)
        prompts = [
            Prompt(texts=None if texts is None else tuple(texts), embedding=tensors[f"prompt/{index}"])
            for index, texts in enumerate(meta["texts"])
        ]
        return cls(
            config=config,
            noise=SeededNoise(meta["seeds"]),
            prompt=prompts[meta["prompt"]],
            past=_written(meta["past"], tensors.get("past"), prompts),
            sink=_written(meta["sink"], tensors.get("sink"), prompts),
            next_tick=meta["pictures"],
            actions=tuple(meta.get("actions", ())),
            exact=_read_exact(meta["exact"], tensors) if "exact" in meta else None,
            **{name: meta[name] for name in ("block", "groups", "first_frame", "end_frame")},
        )


def _distinct(prompts: Sequence[Prompt]) -> list[Prompt]:
    return list(dict.fromkeys(prompts))


def _write_exact(exact: Exact, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Add the tensors of cache and decoder to those of the file, and return the rest as JSON."""
    counters = {name: value for name, value in exact.cache._asdict().items() if not isinstance(value, Tensor)}
    kept = {name: value for name, value in exact.cache._asdict().items() if isinstance(value, Tensor)}
    tensors |= {f"cache/{name}": value.cpu().contiguous() for name, value in kept.items()}
    if exact.decoder_state is None:
        return {"cache": counters, "decoder": None}
    tensors |= {f"decoder/{name}": value.cpu().contiguous() for name, value in exact.decoder_state.tensors.items()}
    return {"cache": counters, "decoder": exact.decoder_state.tree}


def _read_exact(meta: dict[str, Any], tensors: dict[str, Tensor]) -> Exact:
    cache = CacheState(
        **meta["cache"],
        keys=tensors["cache/keys"],
        values=tensors["cache/values"],
        unrotated_sink_keys=tensors["cache/unrotated_sink_keys"],
    )
    if meta["decoder"] is None:
        return Exact(cache=cache, decoder_state=None)
    prefix = "decoder/"
    memory = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return Exact(cache=cache, decoder_state=Packed(tree=meta["decoder"], tensors=memory))


def _written(rows: list[list[Any]], latents: Tensor | None, prompts: list[Prompt]) -> tuple[CachedFrame, ...]:
    if latents is None:
        return ()
    return tuple(
        CachedFrame(frame, latents[:, index], prompts[prompt], group, *(tuple(actions) for actions in more))
        for index, (frame, prompt, group, *more) in enumerate(rows)
    )


def _read_meta(data: bytes) -> dict[str, Any]:
    """Return the JSON in a snapshot's safetensors header: 8 bytes of length, then the header."""
    try:
        header = parse_object(data[8 : 8 + int.from_bytes(data[:8], "little")])
        meta = parse_object(header["__metadata__"]["snapshot"])
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError("these bytes are not a snapshot") from error
    if meta.get("format") != FORMAT:
        raise SnapshotError(f"a snapshot of format {meta.get('format')!r}; this version reads {FORMAT!r}")
    return meta
