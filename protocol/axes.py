"""What the axes of a model may be held at. A client checks it before it sends, and the server when it receives."""

from collections.abc import Mapping
from numbers import Real

from longtake.protocol.errors import Refused
from longtake.protocol.messages import Axis, ModelInfo


def checked(model: ModelInfo, held: Mapping[str, object]) -> dict[str, float]:
    """Return the values of an input as floats. A button may be given as a bool.

    Raises:
        Refused: `no_capability` if the model has no axes; `invalid` if there is no such axis, or a value is not a
            number within its range. The message lists the axes and their ranges.
    """
    axes = {axis.name: axis for axis in model.axes}
    if not axes:
        raise Refused("no_capability", f"{model.name} takes no input: it has no axes, and is steered by prompts only")
    values: dict[str, float] = {}
    for name, value in held.items():
        if name not in axes:
            raise Refused("invalid", f"{model.name} has no axis {name!r}; it has {in_words(model)}")
        number = _number(axes[name], value)
        if number is None:
            raise Refused("invalid", f"{name} cannot be held at {_shown(value)}; {model.name} has {in_words(model)}")
        values[name] = number
    return values


def in_words(model: ModelInfo) -> str:
    """Return the axes of a model and their ranges, such as `speed -1 to 1, horn 0 or 1`."""
    return ", ".join(
        f"{axis.name} 0 or 1" if axis.button else f"{axis.name} {axis.low:g} to {axis.high:g}" for axis in model.axes
    )


def _number(axis: Axis, value: object) -> float | None:
    """Return a value that the axis can have, or None."""
    if not isinstance(value, Real) or (isinstance(value, bool) and not axis.button):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    # False for NaN too.
    if not (number in (0.0, 1.0) if axis.button else axis.low <= number <= axis.high):
        return None
    # Adding zero turns -0.0 into 0.0: they are equal, and the same block must follow.
    return number + 0.0


def _shown(value: object) -> str:
    return repr(value)[:40]
