# SPDX-License-Identifier: Apache-2.0
"""Plays generated frames to the programs and compares all that can be seen with the model, frame by frame.

Per frame: the verdict and the packet. Per batch: every counter of ``port_events``, in packets and octets, and
every packet-in, so that nothing is accepted against the rules and nothing is left unaccounted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dataplane.bpf.hook import Hook
from moorline.errors import MoorlineError
from moorline.wire import Event
from tools.testrun import TestRunError
from tools.vectors.bpf_target import DROP, VERDICTS, BpfTarget
from tools.vectors.model import PacketIn
from tools.vectors.runner import comparable
from tools.vectors.target import Count, PortEvents
from tools.vectors.world import ACCESS

from .generate import Generator
from .graph_scene import ROUNDS
from .model import Model
from .rules import Prediction
from .scene import NEXT_HOPS, scene

BATCH = 250
"""Frames between two looks at the counters; their packet-ins fit into the ring."""

KERNELS = (Event.DROP_NO_ROUTE, Event.DROP_NO_NEIGHBOUR)
"""What TC leaves to the kernel."""


class MismatchError(MoorlineError):
    """A program did something else than docs/wire-format.md says."""


@dataclass(frozen=True, slots=True)
class Case:
    """A generated frame and what must become of it on each hook."""

    port: int
    frame: bytes
    predictions: Mapping[Hook, Prediction]


@dataclass(slots=True)
class Totals:
    """What a run has seen, by hook."""

    frames: Counter[Hook] = field(default_factory=Counter)
    refused: Counter[Hook] = field(default_factory=Counter)
    """Frames that the kernel does not take for a test run: on TC those that end inside their IP header."""
    events: Counter[tuple[Hook, Event]] = field(default_factory=Counter)

    def add(self, other: Totals) -> None:
        """Add another run's."""
        self.frames.update(other.frames)
        self.refused.update(other.refused)
        self.events.update(other.events)


class Driver:
    """Drives the targets of one bench."""

    def __init__(self, targets: Sequence[BpfTarget], seed: int) -> None:
        self._targets = targets
        self._seed = seed
        self._done = 0
        self.totals = Totals()

    def run(self, frames: int) -> None:
        """Generate and play this many more frames, a share of them in each round.

        Raises:
            MismatchError: the first frame or batch that did not go as the model says.
        """
        for number in range(ROUNDS):
            self._round(number, frames // ROUNDS + (number < frames % ROUNDS))

    def _round(self, number: int, frames: int) -> None:
        entries = scene(number)
        generator = Generator(self._seed, number)
        models = {hook: Model(entries, NEXT_HOPS, at_tc=hook is Hook.TC) for hook in Hook}
        self._targets[0].load(entries)
        self._targets[0].bench.fetch_punted()  # what a round before this one may have left
        while frames > 0:
            count = min(frames, BATCH)
            batch = [_case(generator, models) for _ in range(count)]
            for target in self._targets:
                self._play(target, batch, self._done)
            self._done += count
            frames -= count

    def _play(self, target: BpfTarget, batch: Sequence[Case], first: int) -> None:
        before = target.port_events()
        expected: Counter[tuple[int, Event]] = Counter()
        octets: Counter[tuple[int, Event]] = Counter()
        punted: list[tuple[PacketIn, bytes]] = []
        for number, case in enumerate(batch, start=first):
            event = self._play_one(target, case, number)
            if event is None:
                self.totals.refused[target.hook] += 1
                continue
            for counted in (Event.RX, event):
                expected[case.port, counted] += 1
                octets[case.port, counted] += len(case.frame)
            if event.name.startswith("PUNT_"):
                punted.append((PacketIn(case.port, event, case.predictions[target.hook].mtu), case.frame))
            self.totals.frames[target.hook] += 1
            self.totals.events[target.hook, event] += 1
        wrong = _wrong_counter(before, target.port_events(), expected, octets)
        if target.bench.fetch_punted() != punted:
            wrong = wrong or "wrong packet-ins"
        if not wrong:
            return
        if len(batch) > 1:
            for number, case in enumerate(batch, start=first):
                self._play(target, [case], number)
        raise self._mismatch(target, wrong, batch[0], first)

    def _play_one(self, target: BpfTarget, case: Case, number: int) -> Event | None:
        """The event that must have been counted; None when the kernel refuses the frame."""
        prediction = on_hook(case.predictions[target.hook], target.hook)
        try:
            verdict, packet = target.program.run(case.frame, target.bench.ifindexes[case.port])
        except TestRunError:
            return None
        if verdict != VERDICTS[target.hook].get(prediction.event, DROP[target.hook]):
            raise self._mismatch(target, f"verdict {verdict}", case, number)
        if prediction.event is Event.PASS and packet != case.frame:
            raise self._mismatch(target, f"passed as {packet.hex()}", case, number)
        if prediction.event is Event.TX:
            complete = target.frames_complete or prediction.egress == ACCESS.number
            if comparable(packet, complete) != comparable(prediction.packet, complete):
                raise self._mismatch(target, f"packet {packet.hex()}", case, number)
        return prediction.event

    def _mismatch(self, target: BpfTarget, what: str, case: Case, number: int) -> MismatchError:
        return MismatchError(
            f"seed {self._seed}, {target.hook}, frame {number} at port {case.port}: {what} instead of "
            f"{case.predictions[target.hook]}; the frame is {case.frame.hex()}"
        )


def _case(generator: Generator, models: Mapping[Hook, Model]) -> Case:
    port, frame = generator.frame()
    return Case(port, frame, {hook: model.predict(port, frame) for hook, model in models.items()})


def _wrong_counter(
    before: PortEvents,
    after: PortEvents,
    expected: Mapping[tuple[int, Event], int],
    octets: Mapping[tuple[int, Event], int],
) -> str | None:
    """The first counter of ``port_events`` that did not move as expected, in packets and octets."""
    zero = Count(0, 0)
    for key in sorted({*after, *expected}):
        was, now = before.get(key, zero), after.get(key, zero)
        moved, wanted = (now.packets - was.packets, now.bytes - was.bytes), (expected[key], octets[key])
        if moved != wanted:
            return f"port_events {key[0]} {key[1].name} moved by {moved}, not by {wanted},"
    return None


def on_hook(prediction: Prediction, hook: Hook) -> Prediction:
    """The prediction for this hook: on TC the kernel looks for route and neighbour afterwards."""
    if hook is Hook.TC and prediction.event in KERNELS and prediction.packet is not None:
        return prediction._replace(event=Event.TX)
    return prediction
