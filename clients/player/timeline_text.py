"""Formats times of a take."""


def clock(seconds: int) -> str:
    """Return `m:ss`, or `h:mm:ss` from one hour on."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
