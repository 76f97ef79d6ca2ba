"""Which of the two packages called pygame is installed. Imports neither."""

from importlib.metadata import PackageNotFoundError, version

PYGAME_PACKAGES = ("pygame-ce", "pygame")
"""both are imported as `pygame`, from one folder"""


def pygame_conflict() -> str:
    """One line with what to do where both are installed, which overwrite each other; "" where they are not."""
    try:
        found = [f"{name} {version(name)}" for name in PYGAME_PACKAGES]
    except PackageNotFoundError:
        return ""
    return f"{' and '.join(found)} overwrite each other: pip uninstall pygame pygame-ce, then pip install pygame-ce"
