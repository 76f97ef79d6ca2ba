"""What one client may ask of the server, so that no client can harm the others."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Announced in `welcome`; more is answered with `too_many` or `too_fast`."""

    clients: int = 64
    worlds: int = 8
    worlds_per_client: int = 4
    subscriptions_per_client: int = 8
    credit: int = 4096
    """frames that one subscription may have credit for; more credit is cut to it"""
    cues_per_second: int = 20
    cue_burst: int = 40
    messages_per_second: int = 500
    """of any kind; those beyond it are refused with `too_fast`, except heartbeats and goodbyes"""
    message_burst: int = 1000
    queued_bytes: int = 64 * 1024 * 1024
    """frames that may wait for one `every` subscriber of a live world, in bytes"""

    def announced(self) -> dict[str, int]:
        """Return the limits as `welcome` carries them."""
        return {name: int(getattr(self, name)) for name in self.__dataclass_fields__}


class TokenBucket:
    """Allows `rate` per second on average and `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled: float | None = None

    def take(self, now: float) -> bool:
        """Take one token; return False if there is none."""
        if self._filled is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
