"""The interface between the runtime and its world models. It imports no torch, and the runtime imports nothing else.

To add a world model:

1. Write a class with the verbs of `WorldModel`: `open`, `prepare`, `cue`, `step`, `snapshot`, `restore`, `close` and
   `read`, and its `info`; `settle` is optional (`SettlingModel`), and so are `cue_late` and `catch_up`
   (`LateRecacheModel`). It needs to import nothing but the types of this
   module. mypy checks it against the Protocols; a model that lacks a verb is refused when it is loaded.
2. Write a `ModelSpec` beside it, in a module that imports no torch. Only `name`, `summary` and `load` are required;
   the other fields tell `longtake models`, `doctor` and `bench plan` about the model.
3. Add one line to `REGISTRY`: the model's name, and `module:variable` of the spec.

The server, the clients, takes and the command line need no change. docs/howto/add-a-world-model.md goes through it
with an example.
"""

from longtake.model.errors import ModelUnknown
from longtake.model.interface.options import Options
from longtake.model.interface.registry import REGISTRY, load_model, model_names, model_spec, model_specs
from longtake.model.interface.spec import (
    Argument,
    LoadRequest,
    ModelSpec,
    SelfCheck,
    Weights,
    WeightsFile,
)
from longtake.model.interface.understanding import Understanding
from longtake.model.interface.world_model import (
    VERBS,
    Axis,
    Block,
    Conditioning,
    LateRecacheModel,
    ModelInfo,
    SettlingModel,
    Snapshot,
    World,
    WorldModel,
    missing_verbs,
    settle,
)

__all__ = [
    "REGISTRY",
    "VERBS",
    "Argument",
    "Axis",
    "Block",
    "Conditioning",
    "LateRecacheModel",
    "LoadRequest",
    "ModelInfo",
    "ModelSpec",
    "ModelUnknown",
    "Options",
    "SelfCheck",
    "SettlingModel",
    "Snapshot",
    "Understanding",
    "Weights",
    "WeightsFile",
    "World",
    "WorldModel",
    "load_model",
    "missing_verbs",
    "model_names",
    "model_spec",
    "model_specs",
    "settle",
]
