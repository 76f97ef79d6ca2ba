"""What computes the layers' linears, by name. To add one, see docs/howto/add-a-kernel.md.

| name | what it is | where |
|---|---|---|
| te-fp8 | FP8 by transformer-engine, one scale for each tensor | GPU of capability 8.9 on |
| fp8 | e4m3 weights and activations, a scale for each row, torch's own scaled product | GPU of capability 8.9 on; CPU |
| int8 | int8 weights and activations, a scale for each row | CPU |
| onednn | weights laid out once for the processor (`longtake.model.ops.linear.onednn`) | CPU: bf16, fp32 on x86 |
| upcast | the product in fp32, whatever the weights are kept in | CPU without bf16 products |
| plain | torch's product in the model's precision | everywhere |

`auto` never selects an eight-bit linear: look at what it costs in pictures and brings in time first
(`longtake conformance --self`, `longtake bench generator`). FP8 that is not compiled was seen slower than bf16.

Only the linears inside the layers are replaced. The text and time embeddings and the head stay as they are, and so do
the prompt's keys and values, which are computed once for each prompt. An eight-bit linear whose dimensions sixteen does
not divide stays plain. The weights themselves are kept beside the copies.
"""

from functools import partial

from longtake.model.choice import Choice, Registry, Target
from longtake.model.ops.linear.base import LinearFactory
from longtake.model.ops.linear.fp8 import Fp8Linear, missing_fp8
from longtake.model.ops.linear.int8 import int8_linear, missing_int8
from longtake.model.ops.linear.onednn import has_onednn, missing_onednn, onednn_linear
from longtake.model.ops.linear.plain import plain_unless_divisible
from longtake.model.ops.linear.transformer_engine import missing_transformer_engine, transformer_engine_linear
from longtake.model.ops.linear.upcast import missing_upcast, upcast_linear
from longtake.model.ops.precision import cpu_multiplies

EIGHT_BITS = ("fp8", "te-fp8", "int8")
"""the names that compute in eight bits"""


def _onednn(target: Target) -> LinearFactory:
    return partial(onednn_linear, rows=target.block_tokens)


def _automatic(target: Target) -> str:
    if has_onednn(target.device, target.dtype):
        return "onednn"
    return "plain" if target.device.type != "cpu" or cpu_multiplies(target.dtype) else "upcast"


LINEARS: Registry[LinearFactory | None] = Registry(
    "linear",
    {
        "te-fp8": Choice(
            make=lambda target: plain_unless_divisible(transformer_engine_linear), missing=missing_transformer_engine
        ),
        "fp8": Choice(make=lambda target: plain_unless_divisible(Fp8Linear), missing=partial(missing_fp8, "fp8")),
        "int8": Choice(make=lambda target: plain_unless_divisible(int8_linear), missing=missing_int8),
        "onednn": Choice(make=_onednn, missing=missing_onednn),
        "upcast": Choice(make=lambda target: upcast_linear, missing=missing_upcast),
        # None: the modules compute by themselves, with q, k and v in one product.
        "plain": Choice(make=lambda target: None),
    },
    _automatic,
)
