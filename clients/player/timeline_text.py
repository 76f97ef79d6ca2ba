"""How times of a take are written."""


def clock(seconds: int) -> str:
    """`m:ss`, with hours when there are any."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
