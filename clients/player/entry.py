"""The two ways into a world: open a new one, or join one that runs."""

from dataclasses import dataclass

from longtake.clients.session import Session, World
from longtake.protocol.messages import Encoding, Role, Script


@dataclass(frozen=True, kw_only=True)
class OpenWorld:
    """Opens a new world, as its director."""

    model: str = "diorama"
    script: Script | None = None
    prompt: str | None = None
    seed: int = 0
    encoding: Encoding = "raw"

    def __call__(self, session: Session) -> World:
        """Open the world; after a restart of the server, open it again from the start."""
        return session.open(
            self.model,
            prompt=self.prompt,
            seed=self.seed,
            script=self.script,
            delivery="latest",
            encoding=self.encoding,
        )


@dataclass(frozen=True, kw_only=True)
class JoinWorld:
    """Joins a running world."""

    world: str = ""
    role: Role = "viewer"
    encoding: Encoding = "raw"

    def __call__(self, session: Session) -> World:
        """Join the world; an empty name means the newest."""
        return session.join(self.world, role=self.role, delivery="latest", encoding=self.encoding)
