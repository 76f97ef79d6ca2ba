"""The model's exceptions.

```
ModelError
├── ConfigError        a configuration that cannot work (also a ValueError)
│   └── ModelUnknown   no model has this name
├── ShapeError         a tensor whose shape does not fit the model (also a ValueError)
├── BackendError       a back end that was asked for and is missing or unfit here
├── CheckpointError    weights that do not fit the model they are loaded into
├── HubError           weights that cannot be fetched
├── SnapshotError      bytes that are no snapshot, or one of another model
├── TrainingError      a training run that cannot start or go on
├── WorldError         a verb used on the wrong world
└── CaseError          a conformance case that cannot be read
```
"""


class ModelError(Exception):
    """Base of everything the model raises on purpose."""


class ConfigError(ModelError, ValueError):
    """A configuration that cannot work; the message names the field and says what would."""


class ModelUnknown(ConfigError):
    """No model has this name, or its loader cannot be found."""


class ShapeError(ModelError, ValueError):
    """A tensor's shape does not fit; the message prints both shapes."""


class BackendError(ModelError):
    """A back end was asked for and is missing here; the message says what to install."""


class CheckpointError(ModelError):
    """Weights that do not fit the model they are loaded into."""


class HubError(ModelError):
    """Weights that cannot be fetched: no connection, no space, a wrong checksum; the message says what to do."""


class WorldError(ModelError):
    """A verb was used on the wrong world: it is closed, or of another model, or has no text encoder."""


class TrainingError(ModelError):
    """A training run that cannot start or go on; the message says what to do."""


class CaseError(ModelError):
    """A conformance case that cannot be read."""


class SnapshotError(ModelError):
    """A snapshot that cannot be saved or brought back; the message says why."""
