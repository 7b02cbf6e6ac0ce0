# SPDX-License-Identifier: Apache-2.0
"""A switch tells of each probe at each place of a service path where it decides what comes next."""

from __future__ import annotations

import pytest

from moorline.wire import OAM_PORT, Event
from tools.vectors import entries
from tools.vectors.bmv2_target import Bmv2Target
from tools.vectors.model import Entry, Value
from tools.vectors.packets import Data, arriving4
from tools.vectors.world import PEER_NODE, UNDERLAY, VIRTUAL4_PEER

pytestmark = pytest.mark.bmv2

SPI, SOURCE_PORT = 0x123456, 4000
GROUP, INSTANCE = 7, 300
PATIENCE_SECONDS = 5.0


def path_hop(si: int, action: str, instance: int = 0, **params: Value) -> Entry:
    return Entry("path_hop", {"spi": SPI, "si": si, "instance": instance}, action, params)


PATH = (
    entries.underlay(UNDERLAY),
    entries.terminate(UNDERLAY.address4),
    entries.uplink(UNDERLAY),
    entries.origin(UNDERLAY.neighbour.address4, PEER_NODE),
    entries.locator(PEER_NODE, (UNDERLAY, UNDERLAY.neighbour.address4)),
    path_hop(255, "to_node", node=PEER_NODE),
    path_hop(254, "to_group", group=GROUP, by_destination=0),
    path_hop(254, "to_node", INSTANCE, node=PEER_NODE),
    path_hop(253, "end"),
    path_hop(252, "closed"),
    Entry(
        "affinity",
        {"group": GROUP, "customer": entries.mapped(VIRTUAL4_PEER)},
        "pin",
        {"instance": INSTANCE},
    ),
)


@pytest.fixture(autouse=True)
def nothing_told_before(bmv2: Bmv2Target) -> None:
    """Probes of other tests are forgotten."""
    while not bmv2.traces.empty():
        bmv2.traces.get()


def frame(si: int, destination_port: int = OAM_PORT, scid: int = 0) -> bytes:
    return Data(arriving4(destination_port=destination_port), scid=scid, spi=SPI, si=si).frame()


@pytest.mark.parametrize(
    ("si", "instance", "event"),
    [(255, 0, Event.TX), (254, INSTANCE, Event.TX), (253, 0, Event.DROP_PROBE_END)],
)
def test_each_decision_is_told_once(bmv2: Bmv2Target, si: int, instance: int, event: Event) -> None:
    bmv2.load(PATH)
    assert bmv2.send(UNDERLAY.number, frame(si)).event is event
    told = bmv2.traces.get(timeout=PATIENCE_SECONDS)
    assert told == (UNDERLAY.number, SPI, si, instance, SOURCE_PORT)
    assert bmv2.traces.empty()


def test_nothing_else_is_told(bmv2: Bmv2Target) -> None:
    bmv2.load(PATH)
    assert bmv2.send(UNDERLAY.number, frame(255, OAM_PORT + 1)).event is Event.TX
    assert bmv2.send(UNDERLAY.number, frame(252)).event is Event.DROP_PEER_DOWN
    assert bmv2.send(UNDERLAY.number, frame(251)).event is Event.DROP_SERVICE_PATH
    assert bmv2.send(UNDERLAY.number, frame(253)).event is Event.DROP_PROBE_END
    assert bmv2.traces.get(timeout=PATIENCE_SECONDS)[2] == 253


def test_a_packet_that_goes_through_twice_is_counted_once(bmv2: Bmv2Target) -> None:
    bmv2.load(PATH)
    sent = frame(254, OAM_PORT + 1)
    before = bmv2.port_events()[UNDERLAY.number, Event.RX]
    assert bmv2.send(UNDERLAY.number, sent).event is Event.TX
    assert bmv2.port_events()[UNDERLAY.number, Event.RX].packets == before.packets + 1
    for table, key, packets in (
        ("port_role", {"ingress_port": UNDERLAY.number}, 1),
        ("origin", {"source": entries.mapped(UNDERLAY.neighbour.address4)}, 1),
        ("path_hop", {"spi": SPI, "si": 254, "instance": 0}, 1),
        ("path_hop", {"spi": SPI, "si": 254, "instance": INSTANCE}, 1),
    ):
        assert bmv2.direct_counter(table, key) == (packets, packets * len(sent))
