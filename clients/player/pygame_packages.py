"""Which of the two packages called pygame is installed. Imports neither."""

from importlib.metadata import PackageNotFoundError, version

PYGAME_PACKAGES = ("pygame-ce", "pygame")
"""both are imported as `pygame`, from one folder"""


def pygame_conflict() -> str:
    """Return one line that says what to do if both are installed; they overwrite each other. Otherwise ""."""
    try:
        found = [f"{name} {version(name)}" for name in PYGAME_PACKAGES]
    except PackageNotFoundError:
        return ""
    return f"{' and '.join(found)} overwrite each other: pip uninstall pygame pygame-ce, then pip install pygame-ce"
