"""Recorded forwards against those that are run each time."""

import gc
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from longtake.model import loaded
from longtake.model.errors import BackendError
from longtake.model.execution.cuda_graphs import CudaGraphs, PoolHandles, Run
from longtake.model.generation import caches
from longtake.model.generation.recache import live_recaches
from longtake.model.interface import Conditioning


class Recorder:
    """Stands for CUDA's: repeats what it was given, at the same addresses, and lets nothing be made in between."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0
        self.kinds: set[Hashable] = set()

    def __call__(self, run: Run, kind: Hashable) -> Run:
        self.recorded += 1
        self.kinds.add(kind)
        out = run()

        def replay() -> torch.Tensor | None:
            self.replayed += 1
            fresh = run()
            if out is not None and fresh is not None:
                out.copy_(fresh)
            return out

        return replay


def film(small: Any, config: Any, capture: Any, *, cache: str = "plain", device: str = "cpu") -> list[torch.Tensor]:
    """Two worlds in turn, past the window, with prompt changes before and after it; one is restored on the way."""
    generator = small.generator(config, cache=cache, device=device)
    generator.caches.capture = capture
    worlds = [generator.open(seed=seed, embedding=small.embedding(config, seed)) for seed in (1, 2)]
    made = []
    for block in range(14):
        for index, world in enumerate(worlds):
            if block in (2, 6, 11):
                generator.cue(world, embedding=small.embedding(config, 10 * block + index))
            if config.transformer.actions and block % 3 != 2:
                generator.steer(world, (block / 14, -index / 2))
            made.append(generator.step(world).latents.clone())
        if block == 8:
            worlds[0] = generator.restore(generator.snapshot(worlds[0], exact=True))
            worlds[1] = generator.restore(generator.snapshot(worlds[1]))
    for world in worlds:
        generator.settle(world)
    return made


@pytest.mark.parametrize("cache", ["plain", "fp8"])
@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize("sink", ["keep", "refresh"])
@pytest.mark.parametrize(("block", "window", "sink_frames"), [(3, 12, 3), (1, 5, 1), (2, 6, 0)])
def test_replayed_forwards_are_the_same(
    small: Any, block: int, window: int, sink_frames: int, sink: str, positions: str, cache: str
) -> None:
    config = small.config(
        block_frames=block,
        window_frames=window,
        sink_frames=sink_frames,
        positions=positions,
        sink_on_recache=sink,
        timesteps=(1000.0, 500.0),
    )
    recorder = Recorder()
    wanted, made = film(small, config, None, cache=cache), film(small, config, recorder, cache=cache)
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))
    forwards = 3  # of a block: two steps and the clean pass
    recaches = len(live_recaches(config))
    assert recorder.recorded == forwards * (window - sink_frames) // block + recaches, "once, for four worlds"
    # Every block that sees a full window, of both worlds; a recache then takes the place of a clean pass.
    full = 14 - (window // block - 1)
    assert recorder.replayed >= 2 * forwards * full
    # What has to run once before it is recorded: a block's flow, its clean pass, the recaches.
    assert len(recorder.kinds) == 2 + recaches


def test_the_modulation_of_a_steered_take_is_copied_in(small: Any) -> None:
    config = small.config(timesteps=(1000.0, 500.0))
    config = replace(config, transformer=replace(config.transformer, actions=2))
    recorder = Recorder()
    wanted, made = film(small, config, None), film(small, config, recorder)
    assert recorder.replayed
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))


def test_a_ring_of_no_whole_blocks_is_run_as_ever(small: Any, caplog: pytest.LogCaptureFixture) -> None:
    config = small.config(block_frames=3, window_frames=8, sink_frames=1, timesteps=(1000.0,))
    recorder = Recorder()
    wanted, made = film(small, config, None), film(small, config, recorder)
    assert recorder.recorded == 0
    assert "no CUDA graphs" in caplog.text
    assert all(torch.equal(one, other) for one, other in zip(made, wanted, strict=True))


def test_without_cuda_they_are_refused(small: Any) -> None:
    with pytest.raises(BackendError, match="CUDA device"):
        small.generator(small.config(), graphs=True)


def test_nothing_is_recorded_when_a_world_opens(small: Any) -> None:
    config = small.config(positions="relative", timesteps=(1000.0,))
    generator, recorder = small.generator(config), Recorder()
    fresh = take(small, small.generator(config))
    generator.caches.capture = recorder
    generator.warm_up()
    recorded = recorder.recorded
    assert recorded
    assert all(torch.equal(a, b) for a, b in zip(take(small, generator), fresh, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(take(small, generator), fresh, strict=True))
    first, second = (generator.open(seed=seed, embedding=small.embedding(config, 0)) for seed in (1, 2))
    assert first.cache.keys.data_ptr() != second.cache.keys.data_ptr()
    assert recorder.recorded == recorded, "all worlds share what was recorded"
    pair = generator.open(seed=(1, 2), embedding=small.embedding(config, 0))
    assert recorder.recorded == 2 * recorded, "a batch of another size does not"
    for world in (first, second, pair):
        generator.close(world)


def test_what_recordings_hold_is_measured_and_counts_when_a_world_opens(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small.config(timesteps=(1000.0,))
    generator, recorder = small.generator(config), Recorder()
    generator.caches.capture = recorder
    monkeypatch.setattr(caches, "pool_bytes", lambda device: 1000 * recorder.recorded)
    assert generator.caches.graphs_bytes == 0
    generator.warm_up()
    assert generator.caches.graphs_bytes == 1000 * recorder.recorded > 0
    asked: list[int] = []
    monkeypatch.setattr(loaded, "check_room", lambda config, backend, graphs_bytes: asked.append(graphs_bytes))
    monkeypatch.setattr(generator, "open", lambda **_: None)
    info: Any = None
    loaded.LoadedModel(generator, info, None).open(seed=1, conditioning=Conditioning(prompt="a fox"))
    assert asked == [generator.caches.graphs_bytes]


@pytest.mark.parametrize("cache", ["plain", "fp8"])
def test_worlds_take_turns_in_the_ring(small: Any, cache: str) -> None:
    """Three worlds in any order, one closes while it is in the ring, one while it is not; none leaves a trace."""
    config = small.config(positions="relative", timesteps=(1000.0,))
    alone = {seed: take(small, small.generator(config, cache=cache), blocks=9, seed=seed) for seed in range(4)}
    generator = small.generator(config, cache=cache)
    generator.caches.capture = Recorder()
    worlds = {seed: generator.open(seed=seed, embedding=small.embedding(config, 0)) for seed in range(3)}
    made: dict[int, list[torch.Tensor]] = {seed: [] for seed in range(4)}
    turns = [*(0, 1, 2) * 5, *(0, 0, 0, 2, 1, 1), *(3, 2, 3, 2) * 3, *(3, 3, 3)]
    for turn in turns:
        if turn == 3 and 3 not in worlds:
            generator.close(worlds.pop(1))  # it was the last, so it is in the ring
            worlds[3] = generator.open(seed=3, embedding=small.embedding(config, 0))
            generator.close(worlds.pop(0))  # it is not
        if len(made[turn]) == 8:
            generator.cue(worlds[turn], embedding=small.embedding(config, 1))
        if len(made[turn]) < 9:
            made[turn].append(generator.step(worlds[turn]).latents.clone())
    assert [len(blocks) for blocks in made.values()] == [8, 7, 9, 9]
    for seed, blocks in made.items():
        assert all(torch.equal(a, b) for a, b in zip(blocks, alone[seed], strict=False)), seed
    graphs = worlds[3].executor
    assert isinstance(graphs, CudaGraphs)
    assert graphs.seat.exchanges >= 10
    assert graphs.seat.in_use
    for world in worlds.values():
        generator.close(world)
    assert not graphs.seat.in_use


def test_one_world_changes_places_with_nobody(small: Any) -> None:
    config = small.config(timesteps=(1000.0,))
    generator = small.generator(config)
    generator.caches.capture = Recorder()
    generator.warm_up()
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    at = world.cache.keys.data_ptr()
    for _ in range(6):
        generator.step(world)
    assert world.cache.keys.data_ptr() == at
    assert world.executor.seat.exchanges == 0


def test_a_forgotten_world_leaves_the_ring(small: Any) -> None:
    """Without being closed: the next one that comes finds nobody there."""
    config = small.config(timesteps=(1000.0,))
    generator = small.generator(config)
    generator.caches.capture = Recorder()
    world = generator.open(seed=1, embedding=small.embedding(config, 0))
    at, seat = world.cache.keys.data_ptr(), world.executor.seat
    del world
    gc.collect()
    assert not seat.in_use
    assert generator.open(seed=2, embedding=small.embedding(config, 0)).cache.keys.data_ptr() == at


def take(small: Any, generator: Any, blocks: int = 6, seed: int = 1) -> list[torch.Tensor]:
    """A world past the window, with a prompt change there; closed at the end."""
    config = generator.config
    world = generator.open(seed=seed, embedding=small.embedding(config, 0))
    made = []
    for block in range(blocks):
        if block == blocks - 1:
            generator.cue(world, embedding=small.embedding(config, 1))
        made.append(generator.step(world).latents.clone())
    generator.close(world)
    return made


@pytest.mark.parametrize(("block", "window", "sink_frames"), [(3, 12, 3), (2, 7, 2)])
def test_slots_as_data_need_one_recording_for_every_place(
    small: Any, block: int, window: int, sink_frames: int
) -> None:
    pytest.importorskip("triton", reason="needs triton")
    config = small.config(block_frames=block, window_frames=window, sink_frames=sink_frames, timesteps=(1000.0,))
    generator, recorder = small.generator(config, execution="triton", linear="plain"), Recorder()
    generator.caches.capture = recorder
    made, wanted = take(small, generator), take(small, small.generator(config, execution="eager", linear="plain"))
    assert max(small.error(a, b) for a, b in zip(made, wanted, strict=True)) < 2e-5
    recaches = len(live_recaches(config))
    assert recorder.recorded == 2 + recaches
    assert recorder.replayed > 2, "also of a ring that is not whole blocks"


class Launches(TorchDispatchMode):
    """Counts the operators that would be launched on a device; views and what a recording replays are none."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self._replaying = 0, False

    @contextmanager
    def replaying(self) -> Iterator[None]:
        self._replaying = True
        yield
        self._replaying = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self._replaying and not func.is_view:
            self.count += 1
        return func(*args, **(kwargs or {}))


def test_a_block_and_a_recache_launch_little_outside_their_recordings(small: Any) -> None:
    """A launch takes the host 5 to 10 us, so 200 of them are far below 20 ms; the layers' do not count."""
    counts = []
    for layers in (2, 4):
        config = small.config(timesteps=(1000.0, 750.0, 500.0, 250.0), positions="relative")
        config = replace(config, transformer=replace(config.transformer, layers=layers))
        launches = Launches()

        def capture(run: Run, kind: Hashable, launches: Launches = launches) -> Run:
            replay = Recorder()(run, kind)

            def quietly() -> torch.Tensor | None:
                with launches.replaying():
                    return replay()

            return quietly

        generator = small.generator(config, execution="eager", linear="plain")
        generator.caches.capture = capture
        world = generator.open(seed=1, embedding=small.embedding(config, 0))
        for _ in range(5):
            generator.step(world)
        with launches:
            generator.step(world)
        block = launches.count
        counts.append(block)
        assert block < 200
        prompt = small.embedding(config, 1)
        with launches:
            generator.cue(world, embedding=prompt)
        # Of which the keys and values of the prompt take most.
        assert launches.count - block < 60 + 15 * layers
    assert counts[0] == counts[1], "whatever the number of layers"


def test_opening_a_world_records_nothing_and_launches_little(small: Any) -> None:
    """So that it takes less than 200 ms: the first world, and one more while that one runs."""
    for layers in (2, 4):
        config = small.config(timesteps=(1000.0, 750.0, 500.0, 250.0), positions="relative")
        config = replace(config, transformer=replace(config.transformer, layers=layers))
        generator, recorder = small.generator(config, execution="eager", linear="plain"), Recorder()
        generator.caches.capture = recorder
        generator.warm_up()
        recorded, replayed = recorder.recorded, recorder.replayed
        assert recorded
        prompt = small.embedding(config, 1)
        for seed in (1, 2):
            launches = Launches()
            with launches:
                world = generator.open(seed=seed, embedding=prompt)
            # The keys and values of the prompt, for each layer, take most.
            assert launches.count < 60 + 15 * layers
            assert (recorder.recorded, recorder.replayed) == (recorded, replayed)
            generator.step(world)


def test_a_pool_is_not_used_after_its_last_graph() -> None:
    class Graph:
        pass

    made = iter(range(10))
    pools = PoolHandles(lambda: (0, next(made)))
    first = pools.handle()
    graph: Any = Graph()
    pools.add(graph)
    assert pools.handle() == first
    del graph
    second = pools.handle()
    assert second != first
    graph = Graph()
    pools.add(graph)
    assert pools.handle() == second


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cache", ["plain", "fp8"])
def test_cuda_graphs_are_the_same(small: Any, cache: str) -> None:
    from longtake.model.execution.cuda_graphs import cuda_capture

    config = small.config(positions="relative")
    capture: Callable[[], Any] = cuda_capture
    wanted = film(small, config, None, cache=cache, device="cuda")
    made = film(small, config, capture(), cache=cache, device="cuda")
    assert max(small.error(one, other) for one, other in zip(made, wanted, strict=True)) < 1e-5
