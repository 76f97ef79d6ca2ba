"""Options of a model as processes hand them on: texts of the form `name=value`."""


def parse_option(text: str) -> tuple[str, str]:
    """Parse `name=value`; for argparse, which turns the ValueError into its own message."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ValueError(f"{text!r} is not of the form name=value")
    return name.replace("-", "_"), value
