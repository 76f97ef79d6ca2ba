"""The table of world models. A spec is imported when it is asked for, and its model when it is loaded."""

from importlib import import_module

from longtake.model.errors import ConfigError, ModelUnknown
from longtake.model.interface.spec import LoadRequest, ModelSpec
from longtake.model.interface.world_model import WorldModel, missing_verbs

REGISTRY: dict[str, str] = {
    "diorama": "longtake.model.diorama.spec:SPEC",
    "longlive-1.3b": "longtake.model.longlive.spec:LONGLIVE",
    "self-forcing-1.3b": "longtake.model.longlive.spec:SELF_FORCING",
}
"""name of a model: `module:variable` of its `ModelSpec`"""


def model_names() -> list[str]:
    """Return the names of all models."""
    return list(REGISTRY)


def model_specs() -> list[ModelSpec]:
    """Return the specs of all models."""
    return [model_spec(name) for name in REGISTRY]


def model_spec(name: str, factory: str = "") -> ModelSpec:
    """Return the spec of a model.

    Args:
        name: of the registry; any name with `factory`.
        factory: `module:function` that loads the model instead. It is called as
            `function(name, device=..., precision=..., threads=...)`, with `options=...` if there are any.

    Raises:
        ModelUnknown: there is no such model, or `factory` is not of that form.
        ConfigError: the registry's line leads to no spec.
    """
    if factory:
        _split(factory)
        # a user's own loader says nothing of threads: one is right for the small models that are tried this way
        return ModelSpec(
            name=name, summary=f"loaded by {factory}", threads=1, load=lambda request: _call(factory, request)
        )
    if name not in REGISTRY:
        raise ModelUnknown(f"no model is called {name!r}; there are: {', '.join(REGISTRY)}")
    module, variable = _split(REGISTRY[name])
    spec: object = getattr(import_module(module), variable, None)
    if not isinstance(spec, ModelSpec):
        raise ConfigError(f"model {name}: {REGISTRY[name]} is no ModelSpec")
    if spec.name != name:
        raise ConfigError(f"model {name}: {REGISTRY[name]} is the spec of {spec.name}; use one name")
    return spec


def load_model(spec: ModelSpec, request: LoadRequest) -> WorldModel:
    """Load a model. Raises what its loader raises, and ConfigError for a model that lacks a verb."""
    return _checked(spec.name, spec.load(request))


def _call(factory: str, request: LoadRequest) -> WorldModel:
    module, name = _split(factory)
    function: object = getattr(import_module(module), name, None)
    if not callable(function):
        raise ModelUnknown(f"the factory {factory!r} does not exist: {module} has no function {name}")
    more = {"options": request.options} if request.options else {}
    made: object = function(
        request.name, device=request.device, precision=request.precision, threads=request.threads, **more
    )
    return _checked(request.name, made)


def _checked(name: str, made: object) -> WorldModel:
    missing = missing_verbs(made)
    if missing or not isinstance(made, WorldModel):
        raise ConfigError(f"model {name} lacks {', '.join(missing)}: a world model has every verb of the interface")
    return made


def _split(target: str) -> tuple[str, str]:
    module, separator, name = target.partition(":")
    if not separator or not module or not name:
        raise ModelUnknown(f"{target!r} is not of the form module:name")
    return module, name
