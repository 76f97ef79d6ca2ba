"""The timeline that plays by itself until a key is pressed."""

from longtake.clients.player.demo import Demo, DemoCue

CUES = [DemoCue(16, "event", "forest"), DemoCue(8, "event", "dusk"), DemoCue(20, "prompt", "it rains")]


def texts(demo: Demo, tick: int) -> list[str]:
    return [cue.text for cue in demo.due(tick)]


def test_each_cue_comes_once_and_in_order_also_when_ticks_are_missed():
    demo = Demo(CUES)
    assert texts(demo, 7) == []
    assert texts(demo, 17) == ["dusk", "forest"]
    assert texts(demo, 19) == []
    assert texts(demo, 40) == ["it rains"]
    assert not demo.running


def test_it_begins_again_after_its_length():
    demo = Demo(CUES, every=40)
    assert texts(demo, 39) == ["dusk", "forest", "it rains"]
    assert texts(demo, 47) == []
    assert texts(demo, 48) == ["dusk"]
    assert demo.running


def test_it_stops_and_an_empty_one_never_runs():
    demo = Demo(CUES, every=40)
    demo.stop()
    assert texts(demo, 100) == []
    assert not Demo(()).running
