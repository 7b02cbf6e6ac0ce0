# SPDX-License-Identifier: Apache-2.0
"""A fixed share of the fuzz run (``make fuzz`` is the whole), and that a fuzz run notices what is wrong."""

from __future__ import annotations

import pytest

from dataplane.bpf.hook import Hook
from moorline.wire import Event
from tools.fuzz.drive import Driver, MismatchError
from tools.fuzz.model import Model
from tools.fuzz.rules import Prediction
from tools.vectors.bpf_target import BpfTarget

FRAMES = 100_000
SEED = 2
RARE = {
    Event.RX,  # counted beside each other event
    Event.DROP_PACKET_IN_FULL,  # the driver reads the ring in time
    Event.DROP_NO_ROOM,  # frames of a test run have headroom, and are not that long
}


def test_no_frame_goes_another_way_than_the_rules_say(targets: dict[Hook, BpfTarget]) -> None:
    driver = Driver(list(targets.values()), SEED)
    driver.run(FRAMES)
    met = {event for _, event in driver.totals.events}
    assert met == set(Event) - RARE
    for hook in Hook:
        played = driver.totals.frames[hook]
        assert played + driver.totals.refused[hook] == FRAMES
        assert played == sum(driver.totals.events[hook, event] for event in Event)


def _wrong_model(monkeypatch: pytest.MonkeyPatch, right: Event, wrong: Prediction) -> None:
    predict = Model.predict

    def mistaken(self: Model, port: int, frame: bytes) -> Prediction:
        prediction = predict(self, port, frame)
        return wrong if prediction.event is right else prediction

    monkeypatch.setattr(Model, "predict", mistaken)


@pytest.mark.parametrize(
    ("right", "wrong", "noticed"),
    [
        (Event.DROP_SOURCE, Event.PASS, "verdict "),
        (Event.PASS, Event.DROP_SOURCE, "verdict "),
        (Event.DROP_SOURCE, Event.DROP_TENANT, "DROP_TENANT moved by (0, 0), not by (1, "),
    ],
)
def test_a_wrong_way_is_noticed_and_its_frame_named(
    right: Event, wrong: Event, noticed: str, target: BpfTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wrong_model(monkeypatch, right, Prediction(wrong))
    with pytest.raises(MismatchError, match=r"seed 2, \w+, frame \d+ at port \d+: ") as raised:
        Driver([target], SEED).run(2_000)
    assert noticed in str(raised.value)
