# SPDX-License-Identifier: Apache-2.0
"""Plays scene after scene to all targets, and finds the single frames in which they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dataplane.bpf.hook import Hook
from moorline.wire import Event, Tunnel
from tools.fuzz.generate import Generator
from tools.fuzz.graph_scene import ROUNDS
from tools.fuzz.model import Model
from tools.fuzz.scene import NEXT_HOPS
from tools.fuzz.ways import sent_by_switches_alone
from tools.vectors.bmv2_target import WINDOW, Bmv2Target, bmv2_target
from tools.vectors.bpf_target import BpfTarget, bpf_targets
from tools.vectors.model import Entry
from tools.vectors.target import Count

from .entries import EntryGenerator
from .play import HookPlayer, Player, Result, SwitchPlayer, Window, differences, even_out, on_path, playable

SCENE: Final = 1000
"""Frames that are played with the same entries."""

WITHOUT_TC: Final = 2
"""One scene of so many has service graphs, which TC knows in part, and frames that TC cannot test."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Entries, and what arrives while they stand."""

    entries: tuple[Entry, ...]
    windows: tuple[Window, ...]
    with_tc: bool


class Case(NamedTuple):
    """A single frame in which targets differ."""

    entries: tuple[Entry, ...]
    port: int
    frame: bytes
    difference: str


@dataclass(slots=True)
class Totals:
    """What a run has seen."""

    scenes: int = 0
    frames: int = 0
    events: Counter[Event] = field(default_factory=Counter)
    """What became of the frames, by XDP's counters."""

    def add(self, other: Totals) -> None:
        """Add another run's."""
        self.scenes += other.scenes
        self.frames += other.frames
        self.events.update(other.events)


@dataclass(frozen=True, slots=True)
class Run:
    """What a target did with a scene."""

    results: list[Result]
    counters: list[Count]
    """Of the entries, in their order."""


class Judge:
    """Plays to all targets and compares."""

    def __init__(self, hooks: Sequence[BpfTarget], switch: Bmv2Target) -> None:
        self.xdp, self.tc = (HookPlayer(target) for target in hooks)
        self.switch = SwitchPlayer(switch)

    def judge(self, scene: Scene, totals: Totals | None = None) -> dict[int | None, list[str]]:
        """In which windows targets differ, and in what; ``None`` stands for the entries' counters."""
        xdp = _play(self.xdp, scene)
        found: dict[int | None, list[str]] = {}
        others: list[tuple[str, Run, bool]] = []
        if scene.with_tc:
            tc = _play(self.tc, scene)
            pairs = zip(tc.results, xdp.results, scene.windows, strict=True)
            others.append(("tc", Run([even_out(*pair) for pair in pairs], tc.counters), False))
        others.append(("bmv2", _play(self.switch, scene), True))
        for name, run, complete in others:
            for number, (one, other) in enumerate(zip(xdp.results, run.results, strict=True)):
                what = differences(one, other, complete=complete)
                found.setdefault(number, []).extend(f"xdp and {name}: {text}" for text in what)
            found.setdefault(None, []).extend(
                f"xdp and {name}: counter of {entry.table}: {tuple(one_count)}, {tuple(other_count)}"
                for entry, one_count, other_count in zip(
                    scene.entries, xdp.counters, run.counters, strict=True
                )
                if one_count != other_count
            )
        if totals is not None:
            _count(totals, xdp.results)
        return {number: what for number, what in found.items() if what}

    def difference(self, entries: tuple[Entry, ...], port: int, frame: bytes) -> str:
        """In what targets differ over a single frame; empty when they do not, or need not do the same."""
        prediction = Model(entries, NEXT_HOPS).predict(port, frame)
        if not playable(frame) or sent_by_switches_alone(prediction):
            return ""
        with_tc = not on_path(frame) and not any(map(_beyond_tc, entries)) and self.tc.takes(frame)
        scene = Scene(entries, (Window(port, (frame,)),), with_tc)
        return "; ".join(text for what in self.judge(scene).values() for text in what)


class Driver:
    """Makes scenes, and names the frames in which targets differ."""

    def __init__(self, judge: Judge, seed: int) -> None:
        self._judge = judge
        self._seed = seed
        self._frames: dict[int, Generator] = {}
        self._entries = EntryGenerator(seed)
        self.totals = Totals()

    def run(self, frames: int) -> Iterator[Case]:
        """Play this many more frames; yields each in which targets differ.

        A window whose frames do the same when each is played alone is told as a case of its first frame.
        """
        while frames > 0:
            scene = self._scene(min(frames, SCENE))
            frames -= SCENE
            found = self._judge.judge(scene, self.totals)
            windows = [number for number in found if number is not None] or [*range(len(scene.windows))]
            if found:
                yield from self._cases(scene, [scene.windows[number] for number in windows], found)

    def _scene(self, frames: int) -> Scene:
        scenes = self.totals.scenes
        with_tc = scenes % WITHOUT_TC != WITHOUT_TC - 1
        number = scenes // WITHOUT_TC % ROUNDS
        source = self._generator(number)
        entries = self._entries.entries(None if with_tc else number)
        model = Model(entries, NEXT_HOPS)
        waiting: dict[int, list[bytes]] = {}
        windows = []
        while frames:
            port, frame = source.frame()
            if not playable(frame) or (with_tc and not self._plays_on_tc(frame)):
                continue
            if sent_by_switches_alone(model.predict(port, frame)):
                continue
            frames -= 1
            window = waiting.setdefault(port, [])
            window.append(frame)
            if len(window) == WINDOW:
                windows.append(Window(port, tuple(waiting.pop(port))))
        windows += [Window(port, tuple(window)) for port, window in waiting.items()]
        return Scene(entries, tuple(windows), with_tc)

    def _generator(self, number: int) -> Generator:
        if number not in self._frames:
            self._frames[number] = Generator(self._seed, number)
        return self._frames[number]

    def _plays_on_tc(self, frame: bytes) -> bool:
        return not on_path(frame) and self._judge.tc.takes(frame)

    def _cases(
        self, scene: Scene, windows: Sequence[Window], found: dict[int | None, list[str]]
    ) -> Iterator[Case]:
        alone = False
        for window in windows:
            for frame in window.frames:
                difference = self._judge.difference(scene.entries, window.port, frame)
                if difference:
                    alone = True
                    yield Case(scene.entries, window.port, frame, difference)
        if alone:
            return
        text = "; ".join(text for what in found.values() for text in what)
        yield Case(scene.entries, windows[0].port, windows[0].frames[0], f"only in its window: {text}")


@contextmanager
def judging() -> Iterator[Judge]:
    """All targets of this machine."""
    with bpf_targets(tuple(Hook)) as hooks, bmv2_target() as switch:
        yield Judge(hooks, switch)


def _beyond_tc(entry: Entry) -> bool:
    """Whether TC has no use for such an entry."""
    if entry.table == "terminate":
        return entry.key["tunnel"] not in (Tunnel.NONE, Tunnel.GENEVE)
    return entry.action in ("edge", "peer", "to_peer")


def _play(player: Player, scene: Scene) -> Run:
    player.load(scene.entries)
    results = [player.play(window) for window in scene.windows]
    return Run(
        results, [player.direct_counter(entry.table, entry.key, entry.priority) for entry in scene.entries]
    )


def _count(totals: Totals, results: Sequence[Result]) -> None:
    totals.scenes += 1
    for result in results:
        for (_, event), count in result.events.items():
            totals.events[event] += count.packets
    totals.frames = totals.events[Event.RX]
