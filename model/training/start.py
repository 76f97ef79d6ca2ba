"""Weights that a run starts from."""

from pathlib import Path

from longtake.model.errors import CheckpointError
from longtake.model.network.transformer import Transformer
from longtake.model.weights import read

NEW = ("action_embedding.", "motion_head.")
"""parameters that older weights may lack; as built they change nothing"""


def transformer_file(path: Path) -> Path:
    """Return the file of a transformer's weights: `path` itself, or the one in it if it is a folder."""
    return path / "transformer.safetensors" if path.is_dir() else path


def load_start(transformer: Transformer, path: Path, *, role: str = "start") -> None:
    """Load weights into a transformer about to be trained.

    Weights of a model without actions or without a motion head will do: what is new starts by changing nothing.

    Args:
        transformer: of the sizes that are expected.
        path: a file, or a folder with `transformer.safetensors`.
        role: the option that named them.

    Raises:
        CheckpointError: there are no weights, or they are of another network.
    """
    file = transformer_file(path)
    state = read(file)
    own = transformer.state_dict()
    lacking = [name for name in own if name not in state and not name.startswith(NEW)]
    unknown = [name for name in state if name not in own]
    other = [name for name, value in state.items() if name in own and value.shape != own[name].shape]
    for names, said in ((lacking, "lacks"), (unknown, "has"), (other, "has another size of")):
        if names:
            raise CheckpointError(
                f"{file} {said} {names[0]}: it is of another network; leave --{role} out, or --set its sizes"
            )
    transformer.load_state_dict({name: value.to(own[name].dtype) for name, value in state.items()}, strict=False)
