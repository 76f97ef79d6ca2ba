"""The pygame player: watch a world and direct it.

Shows the picture, the events of the script as keys, the prompt line, the take's timeline, and on F3 the numbers.
The keys are in `longtake.clients.player.help.KEYS`; `play` opens the window. It draws only when a frame arrived or
something changed, because the model may be running on the same machine.
"""

import io
import logging
import random
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import pygame

from longtake.clients.film.whole_file import WholeFile, free_name
from longtake.clients.player.demo import Demo, DemoCue
from longtake.clients.player.entry import JoinWorld, OpenWorld
from longtake.clients.player.event_wheel import EventWheel
from longtake.clients.player.filming import Filming
from longtake.clients.player.gamepad import Gamepads
from longtake.clients.player.inbox import Inbox
from longtake.clients.player.input import Keyboard
from longtake.clients.player.prompt import PromptLine
from longtake.clients.player.pygame_packages import pygame_conflict
from longtake.clients.player.requests import WorldRequests
from longtake.clients.player.state import PlayerState
from longtake.clients.player.steering import Steering
from longtake.clients.player.view import View
from longtake.clients.player.world_connector import PATIENCE_S, Entry, WorldConnector
from longtake.clients.session import Session, Transport, World
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Encoding, Notice, Role, Script

logger = logging.getLogger(__name__)

WINDOW = (1280, 800)
"""first size in pixels"""
MOTION_S = 1 / 30
"""seconds between two drawings while something moves"""
BLINK_S = 0.1
"""seconds between two drawings while a cursor blinks or a message is shown"""
IDLE_S = 0.5
"""seconds between two drawings while nothing happens"""
FPS_SPAN_S = 2.0
"""seconds over which frames are counted"""
SHRINK_TRIES = 10
SHRINK_WAIT_MS = 50
"""how often, and how long apart, a window that filled the screen asks for its old size"""
FULLSCREEN_WIDTH = 2560
"""pixels; wider screens are drawn at a fraction of their size and scaled up"""
MAX_SEED = 2**31


def play(
    server: str | Transport,
    *,
    script: Script | None = None,
    model: str = "diorama",
    prompt: str | None = None,
    seed: int = 0,
    join: str | None = None,
    role: Role = "director",
    encoding: Encoding = "raw",
    hud: bool = False,
    fullscreen: bool = False,
    films: Path | None = None,
    demo: Sequence[DemoCue] = (),
    demo_ticks: int = 0,
    suggestions: Sequence[str] = (),
) -> None:
    """Open a window and play until it is closed. Raises LongtakeError if there is no server or no world.

    `server` is an endpoint or a transport. With `join` (a world's name, or "" for the newest) the player joins a
    running world in `role`; without it, it opens a new one. F9 and F12 save films and pictures to the folder `films`
    (`takes`). The cues of `demo` are sent by themselves, again every `demo_ticks`, until the first key is pressed.
    `suggestions` are prompts that Up shows in the prompt line, the first one first.
    """
    conflict = pygame_conflict()
    if conflict:
        logger.warning("%s", conflict)
    enter: Entry = OpenWorld(model=model, script=script, prompt=prompt, seed=seed, encoding=encoding)
    if join is not None:
        enter = JoinWorld(world=join, role=role, encoding=encoding)
    with Session.connect(server, reconnect_s=PATIENCE_S, client="longtake-player") as session:
        player = Player(session, enter, screenshots=films or Path("takes"), demo=Demo(demo, every=demo_ticks))
        if isinstance(server, str):
            player.filming.connect = lambda: Session.connect(server, client="longtake-film")
        player.view.options.hud = hud
        player.prompt.suggest(suggestions)
        if fullscreen:
            player.toggle_fullscreen()
        player.run()


def fitting(size: tuple[int, int], desktop: tuple[int, int]) -> tuple[int, int]:
    """Return a window's size, made smaller where the desktop is: not every window manager does that."""
    width, height = (min(wanted, there) for wanted, there in zip(size, desktop, strict=True))
    return width, height


def window_of(size: tuple[int, int]) -> pygame.Surface:
    """Make the window that filled the screen a window of this size again, or of the size that it is given.

    A window manager takes its time to let go of a full screen, and until then X11 refuses another size.
    """
    for _ in range(SHRINK_TRIES):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            surface = pygame.display.set_mode(size, pygame.RESIZABLE)
        if surface.get_size() == size:
            break
        pygame.event.pump()
        pygame.time.wait(SHRINK_WAIT_MS)
    return surface


class Player:
    """The window's loop: handles input, steers the world, and draws when something has changed."""

    def __init__(
        self,
        session: Session,
        enter: Entry,
        *,
        size: tuple[int, int] | None = None,
        screenshots: Path,
        demo: Demo | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        pygame.display.init()
        pygame.font.init()
        pygame.display.set_caption("Longtake")
        self.state = PlayerState()
        self.prompt = PromptLine()
        self._size = size or fitting(WINDOW, pygame.display.get_desktop_sizes()[0])
        self.view = View(pygame.display.set_mode(self._size, pygame.RESIZABLE))
        self.steering = Steering(self.state, self.toast)
        self.keyboard = Keyboard(self)
        self._gamepads = Gamepads(self.steering)
        self.event_wheel = EventWheel(self)
        self.demo = demo or Demo(())
        self._inbox = Inbox()
        self.requests = WorldRequests(self.state, self.toast, self._inbox, clock)
        self.filming = Filming(self.state, self.toast, self._inbox)
        self.connector = WorldConnector(session, enter, self._inbox.wake)
        self.running = True
        self._clock = clock
        self._screenshots = screenshots
        self._fullscreen = False
        self._world: World | None = None
        self._shown_at: deque[float] = deque()
        self._last_number = -1
        self._last_notice: Notice | None = None
        pygame.key.stop_text_input()

    def run(self) -> None:
        """Play until the window is closed. Raises LongtakeError if there is no first world."""
        self.connector.start()
        try:
            while self.running:
                self.turn(self._patience())
                if self.connector.fatal is not None:
                    raise self.connector.fatal
        finally:
            self.filming.finish()
            self.connector.stop()
            pygame.display.quit()

    def turn(self, patience_s: float) -> None:
        """Wait at most `patience_s` for something to happen, handle all of it, and draw once."""
        first = pygame.event.wait(max(1, round(patience_s * 1e3)))
        for event in [first, *pygame.event.get()]:
            if self._inbox.handle(event):
                continue
            if event.type == pygame.QUIT:
                self.running = False
            elif event.type in (pygame.VIDEORESIZE, pygame.WINDOWSIZECHANGED):
                surface = pygame.display.get_surface()
                assert surface is not None  # the window is open while the loop turns
                self.view.resize(surface)
            else:
                if event.type in (pygame.KEYDOWN, pygame.MOUSEBUTTONDOWN, pygame.JOYBUTTONDOWN):
                    self.end_demo()
                self.event_wheel.handle(event)
                if not self._gamepads.handle(event, self.now()):
                    self.keyboard.handle(event)
        self._inbox.run()
        if self.running:
            self._look()
            self.steering.turn(self._world, self.now())
            self._play_demo()
            self._draw()

    def now(self) -> float:
        """Return the time on the player's clock, seconds."""
        return self._clock()

    @property
    def fps(self) -> float:
        """Frames per second that reached the screen."""
        return len(self._shown_at) / FPS_SPAN_S

    # --- called by the keyboard ----------------------------------------------------------------------------

    def pause(self) -> None:
        """Pause, or go on."""
        self.requests.control("resume" if self.state.paused else "pause")

    def restart(self, *, other_seed: bool = False) -> None:
        """Restart the take, or open the world again if it has ended."""
        if self.state.connection in ("closed", "failed"):
            self.connector.reopen()
            return
        paused = self.state.paused
        self.requests.control("reset", seed=random.Random().randrange(MAX_SEED) if other_seed else None)
        if paused:  # the server keeps the pause, and the old picture would stay
            self.requests.control("resume")

    def record(self) -> None:
        """Start or stop a film of the world and, for a director, a take file of the same name."""
        if self.filming.recorder is not None or self.state.recording:
            self.filming.end()
            if self.state.recording and self.state.director:
                self.requests.control("record_stop")
            return
        stem = f"{self.state.script.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        self.filming.begin(self._world, free_name(self._screenshots / f"{stem}.mp4"))
        if self.state.director:
            self.requests.control("record_start", path=f"{stem}.take")

    def screenshot(self, *, window: bool = False) -> None:
        """Save the picture as the world made it, or the whole window."""
        surface = pygame.display.get_surface() if window else self.view.picture()
        if surface is None:
            return
        path = self._screenshots / f"longtake-{self.state.script.name}-{self.state.tick:06}.png"
        try:
            with WholeFile(path, replace=False) as file:
                data = io.BytesIO()
                pygame.image.save(surface, data, "x.png")
                file.part.write_bytes(data.getvalue())
        except (OSError, pygame.error) as error:
            self.toast(f"{path.name} cannot be saved: {error}", bad=True)
        else:
            self.toast(f"Saved {file.path}")

    def toggle_fullscreen(self) -> None:
        """Fill the screen, or go back to the window."""
        self._fullscreen = not self._fullscreen
        if not self._fullscreen:
            self.view.resize(window_of(self._size))
            return
        self._size = pygame.display.get_window_size()
        width, height = pygame.display.get_desktop_sizes()[0]
        parts = -(-width // FULLSCREEN_WIDTH)
        flags = pygame.FULLSCREEN | (pygame.SCALED if parts > 1 else 0)
        self.view.resize(pygame.display.set_mode((width // parts, height // parts), flags))

    def toast(self, text: str, *, bad: bool = False) -> None:
        """Show a line for a while."""
        self.state.toast(text, self._clock(), "bad" if bad else "info")

    def quit(self) -> None:
        """End after this turn."""
        self.running = False

    def end_demo(self) -> None:
        """The player takes over: the timeline no longer plays by itself."""
        if self.demo.running:
            self.demo.stop()
            self.state.demo = False
            self.toast("The demo has ended: the world is yours. F1 shows the keys")

    # --- inside --------------------------------------------------------------------------------------------

    def _play_demo(self) -> None:
        """Send the demo's cues that are due."""
        world = self._world
        ready = self.state.connection == "live" and self.state.director and self.state.frame is not None
        if world is None or not ready or not self.demo.running:
            return
        self.state.demo = True
        for cue in self.demo.due(self.state.tick):
            try:
                if cue.kind == "event":
                    world.event(cue.text, wait=False)
                else:
                    world.prompt(cue.text, amend=cue.amend, wait=False)
            except LongtakeError as error:
                logger.debug("a cue of the demo was not sent: %s", error)

    def _look(self) -> None:
        """Update the state from what the world has sent since the last turn."""
        now = self._clock()
        world = self.connector.world
        if world is not None and world is not self._world:
            self._world = self.requests.world = world
            self._last_number, self._last_notice = -1, None
            self.state.joined(world.info, another=True)
            self.steering.joined(world.info)
            pygame.display.set_caption(f"{self.state.script.title or world.info.prompt[:60]} - Longtake")
        self.state.connection, self.state.detail = self.connector.connection()
        if world is None:
            return
        if world.info is not self.state.info:
            self.state.joined(world.info)
            self.steering.joined(world.info)
        self.state.status = world.status
        self.state.timeline = list(world.timeline)
        for notice in self._new_notices(world):
            self.state.notice(notice, now)

    def _draw(self) -> None:
        picture = self._world.latest() if self._world is not None else None
        fresh = picture is not None and picture.header.number != self._last_number
        if fresh and picture is not None:
            self.view.show(picture.pixels)
        header = picture.header if picture is not None and fresh else None
        if header is not None:
            self.state.frame = header
        self.view.draw(self.state, self.prompt, self._clock(), self.fps)
        pygame.display.flip()
        now = self._clock()
        if header is not None:
            self._last_number = header.number
            self._displayed(now, held=header.held)
        while self._shown_at and self._shown_at[0] < now - FPS_SPAN_S:
            self._shown_at.popleft()

    def _displayed(self, now: float, *, held: bool) -> None:
        """A frame has just reached the screen: measure and report the cues that it is the first to show."""
        if not held:
            self._shown_at.append(now)
        assert self.state.frame is not None
        for cue, latency_ms in self.state.shown(self.state.frame, now):
            self._report(cue, latency_ms)

        input_ms = self.steering.shown(self.state.frame, now)
        if input_ms is not None:
            self._report(None, input_ms)

    def _report(self, cue: int | None, latency_ms: float) -> None:
        try:
            assert self._world is not None
            self._world.displayed(cue, latency_ms)
        except LongtakeError as error:
            logger.debug("a latency was not reported: %s", error)

    def _new_notices(self, world: World) -> list[Notice]:
        notices = list(world.notices)
        new = notices
        for index, notice in enumerate(notices):
            if notice is self._last_notice:
                new = notices[index + 1 :]
        if notices:
            self._last_notice = notices[-1]
        return new

    def _patience(self) -> float:
        now = self._clock()
        if any(self.state.glow(event, now) > 0 for event in self.state.flashes):
            return MOTION_S
        if self.steering.moving(now):
            return MOTION_S
        if self.prompt.focused or self.state.pending or self.state.connection != "live" or self.state.live_toasts(now):
            return BLINK_S
        return IDLE_S
