"""What clients are told about a world: its state when they join, and its figures while it runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from longtake.protocol.messages import Joined, Role, Status

if TYPE_CHECKING:
    from longtake.runtime.world.running_world import RunningWorld


def joined(world: "RunningWorld", request: int, role: Role, recording: str = "") -> Joined:
    """Return the state that a joining client starts with."""
    return Joined(
        request=request,
        world=world.name,
        role=role,
        model=world.config.model,
        script=world.config.script,
        mode=world.config.mode,
        seed=world.link.seed,
        generation=world.generation,
        tick=world.tick,
        block=world.playback.block,
        paused=world.playback.paused,
        prompt=world.plan.asked.prompt(),
        timeline=world.chronicle.newest_marks(),
        recording=recording,
    )


def status(
    world: "RunningWorld",
    now: float,
    *,
    members: int,
    recording: str,
    generator: Literal["ready", "starting", "lost"],
    waiting_for: Sequence[str] = (),
) -> Status:
    """Return the figures at `now`. `generator` is the state of the process, `waiting_for` names blocked readers."""
    lead, playback = world.lead, world.playback
    return Status(
        world=world.name,
        generation=world.generation,
        tick=playback.tick,
        block=playback.block,
        mode=world.config.mode,
        paused=playback.paused,
        fps=playback.fps(now),
        lead=playback.lead,
        lead_target=lead.target_frames(world.pacing.worlds_on_generator),
        shown=playback.shown,
        held=playback.held,
        skipped=playback.skipped,
        block_ms=1000 * (lead.turn_s.median() or 0.0),
        recache_ms=1000 * (lead.recache_s.median() or 0.0),
        tick_jitter_ms=playback.late_ms.percentile(99) or 0.0,
        event_to_photon_ms=world.photon_ms.median(),
        input_to_photon_ms=world.input_photon_ms.median(),
        members=members,
        recording=recording,
        generator="lost" if world.stale and generator == "ready" else generator,
        prompt=world.plan.state.prompt(),
        axes=world.plan.input.values,
        waiting_for=list(waiting_for) if world.running and world.config.mode != "live" else [],
    )
