"""Where things lie in the player's window, at any size of window and picture."""

from collections.abc import Iterator

import numpy as np
import pygame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from longtake.clients.player import hud, theme, timeline
from longtake.clients.player.event_keys import layout_keys
from longtake.clients.player.prompt import PromptLine
from longtake.clients.player.prompt_bar import understood_line
from longtake.clients.player.state import PlayerState
from longtake.clients.player.timeline_text import clock
from longtake.clients.player.view import View, badges, fit
from longtake.protocol import messages as m
from longtake.scenarios.loading import library

LIBRARY = library()
MODEL = m.ModelInfo(name="diorama", height=96, width=160, fps=16, block_frames=4, first_block_frames=4, window_blocks=9)


@pytest.fixture
def text(monkeypatch: pytest.MonkeyPatch) -> Iterator[theme.Text]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    pygame.font.init()
    pygame.display.set_mode((64, 64))
    yield theme.Text()
    pygame.display.quit()


JOINED = m.Joined(
    request=1,
    world="w",
    role="director",
    model=MODEL,
    script=m.Script(),
    mode="live",
    seed=7,
    generation=0,
    tick=0,
    block=0,
    paused=False,
    prompt="a fox in the snow",
)
STATUS = m.Status(
    world="w",
    generation=0,
    tick=10,
    block=2,
    mode="live",
    paused=False,
    fps=16.0,
    lead=4,
    lead_target=8,
    shown=10,
    held=2,
    skipped=0,
    block_ms=80.0,
    recache_ms=30.0,
    tick_jitter_ms=0.2,
)


def state_of(script: m.Script) -> PlayerState:
    state = PlayerState()
    state.joined(replace(JOINED, script=script))
    return state


@settings(deadline=None, max_examples=60)
@given(st.integers(16, 2000), st.integers(16, 2000), st.integers(60, 4000), st.integers(60, 4000), st.integers(0, 50))
def test_the_picture_keeps_its_shape_and_stays_inside(
    width: int, height: int, area_width: int, area_height: int, top: int
) -> None:
    area = pygame.Rect(0, top, area_width, area_height)
    rect = fit((width, height), area)
    assert area.contains(rect)
    best = min(area_width / width, area_height / height)
    scale = rect.width / width if width > height else rect.height / height
    assert 0.94 * best <= scale + 0.51 / max(width, height)
    assert abs(rect.width - width * scale) <= 1.5
    assert abs(rect.height - height * scale) <= 1.5


def test_a_whole_scale_is_taken_when_it_costs_little() -> None:
    assert fit((160, 96), pygame.Rect(0, 0, 1280, 606)).size == (960, 576)
    assert fit((160, 96), pygame.Rect(0, 0, 1280, 560)).size != (800, 480)


@pytest.mark.parametrize("size", [(480, 360), (960, 640), (1280, 800), (2560, 1440)])
@pytest.mark.parametrize("picture", [(96, 160), (480, 832), (97, 33)])
def test_every_size_can_be_drawn_with_everything_on(
    text: theme.Text, size: tuple[int, int], picture: tuple[int, int]
) -> None:
    surface = pygame.Surface(size)
    view = View(surface)
    view.options.hud = view.options.help = True
    for script in (LIBRARY["default"].script(), LIBRARY["fox-year"].script(), m.Script()):
        state = state_of(script)
        state.status = replace(STATUS, recording="x.take", paused=True)
        view.show(np.full((*picture, 3), 200, np.uint8))
        state.toast("something happened", 0.0)
        view.draw(state, PromptLine(text="a fox", focused=True), 0.1, 16.0)
        assert all(surface.get_rect().contains(cap.rect) for cap in view.keycaps)
        assert surface.get_rect().contains(view.prompt_rect)


def test_a_window_without_a_world_can_be_drawn(text: theme.Text) -> None:
    surface = pygame.Surface((640, 480))
    View(surface).draw(PlayerState(detail="tcp://127.0.0.1:5570"), PromptLine(), 0.0, 0.0)
    box = surface.subsurface((200, 120, 240, 240))
    assert len({tuple(box.get_at((x, y))) for x in range(240) for y in range(240)}) > 9, "it says that it connects"


def test_the_picture_is_the_picture(text: theme.Text) -> None:
    surface = pygame.Surface((640, 480))
    view = View(surface)
    view.options.chrome = False
    state = state_of(m.Script())
    state.frame = m.Frame(
        world="w", generation=0, number=1, tick=1, block=0, cue=0, height=96, width=160, encoding="raw"
    )
    pixels = np.zeros((96, 160, 3), np.uint8)
    pixels[:48] = (200, 10, 30)
    pixels[48:] = (10, 90, 220)
    view.show(pixels)
    view.draw(state, PromptLine(), 0.0, 16.0)
    assert tuple(surface.get_at((320, 120)))[:3] == (200, 10, 30)
    assert tuple(surface.get_at((320, 360)))[:3] == (10, 90, 220)
    picture = view.picture()
    assert picture is not None
    assert picture.get_size() == (160, 96)


@pytest.mark.parametrize("width", [300, 612, 932, 1252])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_every_event_is_on_a_page_and_keycaps_do_not_touch(text: theme.Text, width: int, rows: int) -> None:
    for scenario in LIBRARY.values():
        keys = layout_keys(state_of(scenario.script()), text, width, rows)
        assert {cap.event for page in keys.pages for cap in page} == set(scenario.events)
        assert (keys.more is None) == (len(keys.pages) == 1)
        for page in keys.pages:
            rects = [cap.rect for cap in page] + ([keys.more] if keys.more else [])
            assert all(rect.collidelist(rects[:index]) == -1 for index, rect in enumerate(rects))
            assert all(rect.left >= 0 and rect.right <= width and rect.bottom <= keys.height for rect in rects)
    wide = layout_keys(state_of(LIBRARY["default"].script()), text, 1252, 3)
    assert [cap.event for cap in wide.pages[0]] == list(LIBRARY["default"].events)


def test_a_script_without_events_has_an_empty_page(text: theme.Text) -> None:
    keys = layout_keys(state_of(m.Script()), text, 612, 1)
    assert (keys.pages, keys.height, keys.more) == ([[]], 0, None)


def test_in_a_small_window_every_event_key_can_be_reached(text: theme.Text) -> None:
    view, state = View(pygame.Surface((640, 400))), state_of(LIBRARY["default"].script())
    seen: list[str] = []
    for _ in range(3):
        view.draw(state, PromptLine(), 0.0, 16.0)
        window = pygame.Rect(0, 0, 640, 400)
        assert all(window.contains(cap.rect) for cap in view.keycaps)
        assert window.contains(view.more_rect)
        seen += [cap.event for cap in view.keycaps if cap.event not in seen]
        view.turn_page()
    assert seen == list(LIBRARY["default"].events)
    for name in LIBRARY["default"].events:  # the wheel
        state.selected = name
        view.draw(state, PromptLine(), 0.0, 16.0)
        assert name in [cap.event for cap in view.keycaps]
    view.turn_page()
    view.draw(state, PromptLine(), 0.0, 16.0)
    assert name not in [cap.event for cap in view.keycaps], "what is chosen does not hold the page"
    view.resize(pygame.Surface((1280, 800)))
    view.draw(state, PromptLine(), 0.0, 16.0)
    assert len(view.keycaps) == len(LIBRARY["default"].events)
    assert not view.more_rect


def test_badges_say_how_the_world_stands() -> None:
    def names(state: PlayerState) -> list[str]:
        return [text for text, _, _ in badges(state)]

    assert names(PlayerState()) == []
    state = state_of(m.Script())
    assert names(state) == ["LIVE"]
    state.status = replace(STATUS, paused=True, recording="a.take")
    assert names(state) == ["PAUSED", "REC a.take"]
    state.status = replace(STATUS, generator="lost")
    assert names(state) == ["GENERATOR RESTARTING"]
    state.connection = "reconnecting"
    assert names(state) == ["RECONNECTING"]


def test_the_hud_shows_what_the_server_said() -> None:
    state = state_of(m.Script())
    assert ("server", "-") in [(label, value) for label, value, _ in hud.rows(state, 0.0)]
    state.status = STATUS
    state.latencies_ms.extend([400.0, 300.0, 800.0])
    shown = {label: value for label, value, _ in hud.rows(state, 15.9)}
    assert shown["lead (made ahead)"] == "4 of 8"
    assert shown["held"] == "2"
    assert shown["screen"] == "15.9 fps"
    assert shown["event to photon"] == "400 ms"


def test_the_hud_lies_over_the_picture_when_it_is_asked_for(text: theme.Text) -> None:
    surfaces = []
    for shown in (False, True):
        surface = pygame.Surface((1280, 800))
        view = View(surface)
        view.options.hud = shown
        state = state_of(m.Script())
        state.status = STATUS
        view.show(np.full((96, 160, 3), 255, np.uint8))
        view.draw(state, PromptLine(), 0.0, 16.0)
        corner = pygame.surfarray.array3d(surface)[-14 - hud.WIDTH : -14, 20:200]
        surfaces.append(corner.astype(int))
    without, with_it = surfaces
    assert with_it.mean() < 60 < without.mean(), "a dark panel where the bright picture was"
    assert (with_it > 150).any(), "with figures on it"


def test_text_is_cut_with_an_ellipsis_and_empty_text_is_harmless(text: theme.Text) -> None:
    assert text.fit("short", 400) == "short"
    cut = text.fit("a very long sentence about a fox in the snow", 80)
    assert cut.endswith("…")
    assert text.width(cut) <= 80
    assert text.fit("a fox", 1) == ""
    assert text.render("").get_width() == 1
    assert text.wrap("one two three", text.width("one two")) == ["one two", "three"]


def test_without_pygame_s_example_font_the_default_one_serves(
    text: theme.Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = text.width("a fox in the snow")
    monkeypatch.setattr(theme, "font_path", lambda bold: None)
    assert 0.7 < theme.Text().width("a fox in the snow") / plain < 1.4


def test_the_strip_s_scale() -> None:
    scale = timeline.Scale(left=0, right=1000, now=400, span=500)
    assert scale.x(400) == scale.playhead == 840
    assert scale.x(350) == 740
    ticks = list(scale.ticks(4, 9))
    assert all((tick - 9) % 4 == 0 for tick in ticks)
    assert all(-8 <= scale.x(tick) <= 1000 for tick in ticks)
    start = timeline.Scale(left=0, right=1000, now=3, span=500)
    assert start.ticks(4, 9)[0] == 9
    assert start.ticks(16)[0] == 0


def test_a_cue_s_mark_is_drawn_where_its_tick_is(text: theme.Text) -> None:
    surface = pygame.Surface((1000, timeline.HEIGHT))
    state = state_of(m.Script())
    state.status = STATUS
    state.frame = m.Frame(
        world="w", generation=0, number=1, tick=400, block=100, cue=1, height=96, width=160, encoding="raw"
    )
    state.timeline = [
        m.Applied(
            world="w", generation=0, cue=1, block=75, tick=300, kind="event", label="x", prompt="", recache_ms=500
        )
    ]
    timeline.draw(surface, surface.get_rect(), state, text, 0.0)
    scale = timeline.Scale(left=0, right=1000, now=400, span=480)
    row = [tuple(surface.get_at((x, 42)))[:3] for x in range(1000)]
    assert row[scale.x(300)] == theme.ACCENT
    assert theme.COOL in row[scale.x(300) + 6 : scale.x(300) + 20], "the recache is marked behind the cue"
    assert theme.ACCENT not in row[: scale.x(300) - 6]


def test_clock() -> None:
    assert [clock(s) for s in (0, 59, 60, 3599, 3661)] == ["0:00", "0:59", "1:00", "59:59", "1:01:01"]


@pytest.mark.parametrize("size", [(480, 360), (640, 400), (1280, 800)])
def test_the_numbers_stay_above_keys_and_timeline(text: theme.Text, size: tuple[int, int]) -> None:
    state = state_of(LIBRARY["default"].script())
    state.status = STATUS
    surface = pygame.Surface(size)
    view = View(surface)
    view.draw(state, PromptLine(), 0.0, 16.0)
    bottom = view._strip.top
    rect = hud.draw(surface, size[0] - 14, 14, bottom, state, text, 16.0)
    assert rect.bottom <= bottom
    assert rect.height > 40


def test_what_was_understood_is_said_in_a_line() -> None:
    understood = m.Understood(shown_as="purple train, city", by_chance=["time", "weather"], unknown=["dragon"])
    texts = [words for words, _ in understood_line(understood)]
    assert texts == ["shown as: purple train, city", "not known: dragon", "by chance: time, weather"]
    assert [words for words, _ in understood_line(m.Understood())] == ["shown as: anything"]


def test_what_is_waited_for_is_told_in_full(text: theme.Text, monkeypatch: pytest.MonkeyPatch) -> None:
    view, state = View(pygame.Surface((640, 400))), PlayerState()
    state.detail = (
        "the generator is 101 % busy with 1 live world: " + "close one, or open this one in lockstep mode " * 2
    )
    drawn: list[str] = []
    render = view.text.render

    def listen(text: str, height: int = theme.NORMAL, *args: theme.Colour, **options: bool) -> pygame.Surface:
        drawn.append(text)
        return render(text, height, *args, **options)

    monkeypatch.setattr(view.text, "render", listen)
    view.draw(state, PromptLine(), 0.0, 16.0)
    assert state.detail.strip() in " ".join(drawn)
