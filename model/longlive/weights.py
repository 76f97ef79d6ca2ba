"""Fills a module with weights from mapped files: merges, casts and moves them tensor by tensor.

The module is built on the `meta` device, where it takes no memory. Each tensor is then allocated on its device in its
precision, and written in slices of a few megabytes. So the host never holds more than the weights in their final
precision and one slice; with a GPU it does not even hold the weights.
All slices share one buffer. A new one each time would leave holes in the heap between the weights, as large as the
weights themselves.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from longtake.model.errors import CheckpointError
from longtake.model.longlive.files import TensorFile, open_tensors
from longtake.model.longlive.names import lora_part

log = logging.getLogger(__name__)

SLICE_NUMBERS = 2**20
"""numbers that are merged at once"""

Progress = Callable[[int, int], None]
"""called with the bytes of the weights that are loaded, and with all of them"""

Write = Callable[[str, Tensor], None]
"""writes the tensor of a name into an allocated tensor"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lora:
    """Low-rank changes of linear layers: W + scale * B A.

    Attributes:
        path: its file.
        pairs: A [rank, in] and B [out, rank] by module.
        alpha: alpha of its training; `scale` is alpha / rank. The public file does not say it.
    """

    path: Path
    pairs: Mapping[str, tuple[Tensor, Tensor]]
    alpha: float

    @classmethod
    def open(cls, path: Path, *, alpha: float) -> "Lora":
        """Open a LoRA: `{"generator_lora": ...}` or the bare tensors; raises CheckpointError."""
        file = open_tensors(path, ("generator_lora",))
        sides: dict[str, dict[str, Tensor]] = {}
        for name in file.names:
            part = lora_part(name)
            if part is None:
                raise CheckpointError(f"{path} has {name}, which is no part of a LoRA; name the public lora.pt")
            sides.setdefault(part[0], {})[part[1]] = file.read(name)
        for module, pair in sides.items():
            for side in "AB":
                if side not in pair:
                    raise CheckpointError(f"{path} lacks lora_{side} of {module}; fetch it again")
        return cls(path=path, pairs={m: (pair["A"], pair["B"]) for m, pair in sides.items()}, alpha=alpha)

    def check(self, shapes: Mapping[str, torch.Size], targets: list[str]) -> None:
        """Compare it with a module's parameters; raises CheckpointError with what does not fit."""
        for module in targets:
            if module not in self.pairs:
                raise CheckpointError(f"{self.path} changes no {module}: it is another model's LoRA, or cut short")
        for module, (a, b) in self.pairs.items():
            shape = shapes.get(f"{module}.weight")
            if shape is None:
                raise CheckpointError(f"{self.path} changes {module}, which this model does not have")
            if a.shape != (b.shape[1], shape[1]) or b.shape[0] != shape[0]:
                raise CheckpointError(
                    f"{self.path}: lora_A {list(a.shape)} and lora_B {list(b.shape)} of {module} do not fit its weight "
                    f"{list(shape)}; use the LoRA of this model"
                )


def materialise(
    module: nn.Module,
    write: Write,
    *,
    dtype: torch.dtype,
    device: torch.device,
    progress: Progress | None = None,
) -> None:
    """Allocate and fill every tensor of a module that was built on the meta device.

    Args:
        module: a module on the meta device; shared parameters stay shared.
        write: writes the value of a named tensor.
        dtype, device: of the tensors.
        progress: called after each tensor.
    """
    named = [(name, tensor) for name, tensor in module.state_dict(keep_vars=True).items()]
    total = sum(tensor.numel() for tensor in {id(t): t for _, t in named}.values()) * dtype.itemsize
    done, made = 0, dict[int, nn.Parameter]()
    for name, tensor in named:
        parameter = made.get(id(tensor))
        if parameter is None:
            memory = torch.empty(tensor.shape, dtype=dtype, device=device)
            write(name, memory)
            parameter = made[id(tensor)] = nn.Parameter(memory, requires_grad=False)
            done += memory.nbytes
            if progress is not None:
                progress(done, total)
        owner, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(owner), leaf, parameter)


def from_file(file: TensorFile, module: nn.Module, *, what: str, lora: Lora | None = None) -> Write:
    """Return a writer that copies from a file and merges the LoRA. It checks everything first.

    Args:
        file: tensors under the module's names.
        module: the module to fill, on any device.
        what: the model's name, for errors.
        lora: changes to merge.

    Raises:
        CheckpointError: a tensor is missing, unknown or of another shape.
    """
    own = module.state_dict(keep_vars=True)
    shared: dict[int, list[str]] = {}
    for name, tensor in own.items():
        shared.setdefault(id(tensor), []).append(name)
    for name, tensor in own.items():
        # A shared tensor may be stored under either name.
        found = next((n for n in shared[id(tensor)] if n in file), None)
        if found is None:
            raise CheckpointError(f"{file.path} lacks {name}: it is not {what}, or cut short; fetch the public file")
        shape = file.read(found).shape
        if shape != tensor.shape:
            raise CheckpointError(
                f"{file.path}: {found} is {list(shape)}, not {list(tensor.shape)}: it is another model than {what}"
            )
    for name in file.names:
        if name not in own:
            raise CheckpointError(f"{file.path} has {name}, which {what} does not have: it is another model")

    buffers: dict[torch.device, Tensor] = {}

    def write(name: str, memory: Tensor) -> None:
        source = file.read(next(n for n in shared[id(own[name])] if n in file))
        pair = lora.pairs.get(name.removesuffix(".weight")) if lora else None
        if lora is None or pair is None:
            memory.copy_(source)
            return
        if memory.device not in buffers:
            buffers[memory.device] = torch.empty(SLICE_NUMBERS, dtype=torch.float32, device=memory.device)
        merge(source, pair, lora.alpha, memory, buffers[memory.device])

    return write


def merge(source: Tensor, pair: tuple[Tensor, Tensor], alpha: float, memory: Tensor, buffer: Tensor) -> None:
    """Write source + alpha / rank * B A into memory, slice by slice, computing in fp32 on memory's device.

    Args:
        source: [out, in], any precision.
        pair: A [rank, in] and B [out, rank].
        alpha: alpha of the LoRA's training.
        memory: [out, in], in its final precision.
        buffer: fp32 numbers, at least a row, on memory's device.
    """
    a, b = (side.to(memory.device, torch.float32) for side in pair)
    width = source.shape[1]
    rows = buffer.numel() // width
    for start in range(0, source.shape[0], rows):
        part = slice(start, start + rows)
        merged = buffer[: source[part].numel()].view(-1, width)
        merged.copy_(source[part]).addmm_(b[part], a, alpha=alpha / a.shape[0])
        memory[part].copy_(merged)


def random_values(seed: int) -> Write:
    """Return a writer of random weights: small matrices, norms of one, biases of zero. A seed gives the same weights.

    They serve to try speed, memory and plumbing without a checkpoint; the frames mean nothing.
    """
    generators: dict[torch.device, torch.Generator] = {}

    def write(name: str, memory: Tensor) -> None:
        generator = generators.get(memory.device)
        if generator is None:
            generator = generators[memory.device] = torch.Generator(memory.device).manual_seed(seed)
        if name.endswith(("bias", "beta")):
            memory.zero_()
        elif name.endswith("gamma") or "norm" in name.rpartition(".")[0].rpartition(".")[2]:
            memory.fill_(1)
        else:
            fan_in = memory[0].numel() if memory.ndim > 1 else memory.numel()
            memory.normal_(std=max(1, fan_in) ** -0.5, generator=generator)

    return write
