# SPDX-License-Identifier: Apache-2.0
"""The neighbours of a switch: sought, kept fresh, followed, given up; and whom the switch believes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control.neighbours import table
from control.neighbours.arp import Arp, Operation
from control.neighbours.frame import BROADCAST, Frame, group_mac
from control.neighbours.link import Link
from control.neighbours.ndisc import ALL_NODES, Advertisement, Solicitation, parse, solicited_node
from control.neighbours.table import Conflict, Neighbours, Output, Resolved, Send
from moorline import ethernet

OUR_MAC = bytes.fromhex("020000000001")
NEAR = bytes.fromhex("020000000002")
NEW = bytes.fromhex("020000000003")


def address(text: str) -> bytes:
    return ip_address(text).packed


OUR4, OUR6 = address("192.0.2.1"), address("2001:db8::1")
NEAR4, NEAR6 = address("192.0.2.2"), address("2001:db8::2")
OTHER4 = address("192.0.2.77")
LINK = Link(1, OUR_MAC, (ip_interface("192.0.2.1/24"), ip_interface("2001:db8::1/64")))
BEHIND = Link(2, OUR_MAC[:5] + b"\x22", (ip_interface("192.0.2.1/24"),), router=True)


def arp(
    operation: Operation, mac: bytes, sender: bytes, target: bytes = OUR4, to: bytes = OUR_MAC, vlan: int = 0
) -> bytes:
    message = Arp(operation, mac, sender, to if to != BROADCAST else bytes(6), target)
    return Frame(to, mac, ethernet.ARP, message.encode(), vlan).encode()


def reply(mac: bytes = NEAR, sender: bytes = NEAR4, to: bytes = OUR_MAC) -> bytes:
    return arp(Operation.REPLY, mac, sender, to=to)


def request(mac: bytes = NEAR, sender: bytes = NEAR4, target: bytes = OUR4) -> bytes:
    return arp(Operation.REQUEST, mac, sender, target, to=BROADCAST)


def advertisement(mac: bytes | None = NEAR, *, solicited: bool = True, override: bool = True) -> bytes:
    to, at = (OUR6, OUR_MAC) if solicited else (ALL_NODES, group_mac(ALL_NODES))
    message = Advertisement(NEAR6, to, NEAR6, mac, False, solicited, override)
    return Frame(at, mac or NEAR, ethernet.IPV6, message.encode()).encode()


def solicitation(target: bytes = OUR6, source: bytes = NEAR6, mac: bytes | None = NEAR) -> bytes:
    group = solicited_node(target)
    message = Solicitation(source, group, target, mac)
    return Frame(group_mac(group), mac or NEAR, ethernet.IPV6, message.encode()).encode()


def watching(*wanted: bytes, link: Link = LINK) -> Neighbours:
    """A table that has announced its addresses and wants these neighbours, at time 0."""
    neighbours = Neighbours()
    neighbours.configure([link], [(link.port, one) for one in wanted], 0.0)
    return neighbours


def frames(outputs: Iterable[Output]) -> list[Frame]:
    found = [Frame.parse(output.frame) for output in outputs if isinstance(output, Send)]
    return [frame for frame in found if frame is not None]


def learned(outputs: Iterable[Output]) -> list[bytes | None]:
    return [output.mac for output in outputs if isinstance(output, Resolved)]


def run(neighbours: Neighbours, until: float) -> list[tuple[float, Output]]:
    """All that comes of time passing alone."""
    done: list[tuple[float, Output]] = []
    while (now := neighbours.deadline) <= until:
        done += [(now, output) for output in neighbours.tick(now)]
    return done


# ---- questions ---------------------------------------------------------------------------------------------


def test_a_port_announces_its_addresses_once() -> None:
    neighbours = Neighbours()
    four, six = frames(neighbours.configure([LINK], [], 0.0))
    message = Arp.parse(four.payload)
    assert message is not None
    assert (four.destination, message.sender, message.target) == (BROADCAST, OUR4, OUR4)
    said = parse(six.payload)
    assert isinstance(said, Advertisement)
    assert (said.destination, said.target, said.mac, said.solicited) == (ALL_NODES, OUR6, OUR_MAC, False)
    assert neighbours.configure([LINK], [], 1.0) == []


@pytest.mark.parametrize("wanted", [NEAR4, NEAR6])
def test_a_wanted_neighbour_is_asked_for_and_found(wanted: bytes) -> None:
    neighbours = watching(wanted)
    (asked,) = frames(neighbours.tick(0.0))
    assert asked.source == OUR_MAC
    if wanted == NEAR4:
        message = Arp.parse(asked.payload)
        assert message == Arp(Operation.REQUEST, OUR_MAC, OUR4, bytes(6), NEAR4)
        assert asked.destination == BROADCAST
    else:
        assert parse(asked.payload) == Solicitation(OUR6, solicited_node(NEAR6), NEAR6, OUR_MAC)
        assert asked.destination == group_mac(solicited_node(NEAR6))
    answer = reply() if wanted == NEAR4 else advertisement()
    assert neighbours.received(1, answer, 0.1) == [Resolved(1, wanted, NEAR)]
    assert neighbours.mac_of(1, wanted) == NEAR
    assert run(neighbours, 0.1 + 15) == []


def test_one_that_never_answers_is_asked_less_and_less_but_for_ever() -> None:
    neighbours = watching(NEAR4)
    times = [at for at, _ in run(neighbours, 500.0)]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == 0.0
    assert pauses[:8] == [1, 1, 1, 2, 4, 8, 16, 32]
    assert set(pauses[8:]) == {32}


@pytest.mark.parametrize(("wanted", "answer"), [(NEAR4, reply()), (NEAR6, advertisement())])
def test_a_known_neighbour_is_asked_again_and_given_up_in_the_end(wanted: bytes, answer: bytes) -> None:
    neighbours = watching(wanted)
    neighbours.tick(0.0)
    neighbours.received(1, answer, 0.0)
    said = run(neighbours, 60.0)
    (lost,) = [at for at, output in said if isinstance(output, Resolved)]
    asked = [frame.destination for at, output in said if at < lost for frame in frames([output])]
    assert asked[:3] == [NEAR] * 3
    assert len(asked) == 6
    assert all(destination[0] & 1 for destination in asked[3:])
    assert 15 <= said[0][0] <= 45
    assert lost == said[0][0] + 6
    assert neighbours.mac_of(1, wanted) is None
    assert frames(output for at, output in said if at == lost)  # and sought anew


def test_one_that_answers_is_asked_once_in_a_while() -> None:
    neighbours = watching(NEAR4)
    neighbours.tick(0.0)
    now = 0.0
    for _ in range(10):
        assert neighbours.received(1, reply(), now) == [] or now == 0.0
        before = now
        while not (asked := neighbours.tick(now := neighbours.deadline)):
            pass
        assert [frame.destination for frame in frames(asked)] == [NEAR]
        assert 15 <= now - before <= 45


def test_tagged_ports_speak_and_hear_in_their_vlan() -> None:
    neighbours = watching(NEAR4, link=replace(LINK, vlan=7))
    (asked,) = frames(neighbours.tick(0.0))
    assert asked.vlan == 7
    assert neighbours.received(1, reply(), 0.0) == []
    assert neighbours.received(1, arp(Operation.REPLY, NEAR, NEAR4, vlan=8), 0.0) == []
    assert learned(neighbours.received(1, arp(Operation.REPLY, NEAR, NEAR4, vlan=7), 0.0)) == [NEAR]


def test_many_neighbours_are_asked_at_a_bounded_rate() -> None:
    link = Link(1, OUR_MAC, (ip_interface("10.0.0.1/8"),))
    wanted = [address(f"10.1.{number >> 8}.{number & 255}") for number in range(table.LIMIT + 500)]
    neighbours = watching(*wanted, link=link)
    assert len(neighbours) == table.LIMIT
    asked = run(neighbours, 1.0)
    assert table.QUESTIONS_BURST <= len(asked) <= table.QUESTIONS_BURST + table.QUESTIONS_PER_SECOND + 1
    run(neighbours, 10.0)


def test_what_the_switch_remembers_holds_until_it_is_asked() -> None:
    neighbours = watching(NEAR4)
    assert neighbours.adopt(1, NEAR4, NEAR, 0.0)
    assert not neighbours.adopt(1, OTHER4, NEAR, 0.0)
    assert neighbours.mac_of(1, NEAR4) == NEAR
    (asked,) = frames(neighbours.tick(0.0))
    assert asked.destination == NEAR
    assert neighbours.received(1, reply(), 0.0) == []
    assert not neighbours.adopt(1, NEAR4, NEW, 1.0)


def test_what_is_no_longer_wanted_is_forgotten() -> None:
    neighbours = watching(NEAR4, NEAR6)
    neighbours.received(1, reply(), 0.0)
    neighbours.configure([LINK], [(1, NEAR6)], 1.0)
    assert neighbours.mac_of(1, NEAR4) is None
    assert neighbours.received(1, reply(), 2.0) == []
    neighbours.configure([], [(1, NEAR6)], 3.0)
    assert len(neighbours) == 0
    assert neighbours.deadline == float("inf")


def test_a_neighbour_without_an_own_address_to_ask_from_is_passed_over() -> None:
    neighbours = watching(NEAR4, OUR4, link=Link(1, OUR_MAC, (ip_interface("2001:db8::1/64"),)))
    assert len(neighbours) == 0
    assert len(watching(OUR4)) == 0


def test_an_own_address_that_changes_is_told_and_what_was_known_stays() -> None:
    neighbours = watching(NEAR4)
    neighbours.received(1, reply(), 0.0)
    moved = replace(LINK, addresses=(ip_interface("192.0.2.9/24"),))
    (told,) = frames(neighbours.configure([moved], [(1, NEAR4)], 1.0))
    assert told.destination == BROADCAST
    assert neighbours.mac_of(1, NEAR4) == NEAR
    (asked,) = frames(neighbours.tick(1.0))
    message = Arp.parse(asked.payload)
    assert message is not None
    assert (asked.destination, message.sender) == (NEAR, address("192.0.2.9"))


# ---- changes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "first", "told"),
    [
        (NEAR4, reply(), request(mac=NEW, target=NEAR4)),
        (NEAR4, reply(), request(mac=NEW)),
        (NEAR4, reply(), reply(mac=NEW, to=BROADCAST)),
        (NEAR6, advertisement(), advertisement(NEW, solicited=False)),
        (NEAR6, advertisement(), solicitation(mac=NEW)),
    ],
    ids=["gratuitous", "request", "unasked reply", "unsolicited", "solicitation"],
)
def test_a_new_link_layer_address_is_followed_and_asked(wanted: bytes, first: bytes, told: bytes) -> None:
    neighbours = watching(wanted)
    neighbours.tick(0.0)
    neighbours.received(1, first, 0.0)
    assert learned(neighbours.received(1, told, 5.0)) == [NEW]
    asked = frames(neighbours.tick(5.0))
    assert [frame.destination for frame in asked] == [NEW]


def test_of_two_machines_with_one_address_the_first_counts_for_a_while() -> None:
    neighbours = watching(NEAR4)
    neighbours.received(1, reply(), 0.0)
    assert neighbours.received(1, reply(mac=NEW), 0.0 + table.LOCK / 2) == []
    # The first is asked whether it is still there.
    (asked,) = frames(neighbours.tick(table.LOCK))
    assert asked.destination == NEAR
    assert neighbours.received(1, reply(), table.LOCK) == []
    assert run(neighbours, 15.0) == []
    assert learned(neighbours.received(1, reply(mac=NEW), 15.0)) == [NEW]


def test_of_two_changes_in_a_row_the_second_is_soon_found() -> None:
    neighbours = watching(NEAR4)
    neighbours.received(1, reply(), 0.0)
    neighbours.received(1, request(mac=NEW, target=NEAR4), table.LOCK / 2)
    asked = [frame.destination for _, output in run(neighbours, 2 * table.LOCK) for frame in frames([output])]
    assert asked == [NEAR, BROADCAST]
    assert learned(neighbours.received(1, reply(mac=NEW), 2 * table.LOCK)) == [NEW]


def test_an_advertisement_that_does_not_override_raises_a_doubt() -> None:
    neighbours = watching(NEAR6)
    neighbours.tick(0.0)
    neighbours.received(1, advertisement(), 0.0)
    assert neighbours.received(1, advertisement(NEW, override=False), 5.0) == []
    assert neighbours.mac_of(1, NEAR6) == NEAR
    assert [frame.destination for frame in frames(neighbours.tick(5.0))] == [NEAR]


def test_an_advertisement_without_an_address_confirms_what_is_known_only() -> None:
    neighbours = watching(NEAR6)
    assert neighbours.received(1, advertisement(None), 0.0) == []
    assert neighbours.mac_of(1, NEAR6) is None
    neighbours.received(1, advertisement(), 0.0)
    while not (asked := neighbours.tick(now := neighbours.deadline)):
        pass
    assert frames(asked)
    assert neighbours.received(1, advertisement(None), now) == []
    assert not any(frames(neighbours.tick(now + delay)) for delay in (1, 2, 3))


# ---- whom it does not believe ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        reply(sender=OTHER4),
        request(sender=OTHER4, target=OTHER4),
        reply(mac=b"\x01\0\0\0\0\x02"),
        reply(mac=bytes(6)),
        reply(mac=OUR_MAC),
        reply(to=NEW),
        b"",
        bytes(60),
    ],
    ids=["stranger", "gratuitous stranger", "group", "nobody", "us", "for another", "empty", "zeros"],
)
def test_strangers_and_nonsense_change_nothing(frame: bytes) -> None:
    neighbours = watching(NEAR4)
    assert neighbours.received(1, frame, 0.0) == []
    assert neighbours.received(5, reply(), 0.0) == []
    assert neighbours.mac_of(1, NEAR4) is None
    assert len(neighbours) == 1


def test_an_answer_to_another_address_is_none() -> None:
    neighbours = watching(NEAR6)
    other = Advertisement(NEAR6, address("2001:db8::99"), NEAR6, NEAR, False, True, True)
    assert neighbours.received(1, Frame(OUR_MAC, NEAR, ethernet.IPV6, other.encode()).encode(), 0.0) == []
    assert neighbours.mac_of(1, NEAR6) is None


def test_a_neighbour_at_another_port_is_another() -> None:
    neighbours = Neighbours()
    neighbours.configure([LINK, BEHIND], [(1, NEAR4), (2, NEAR4)], 0.0)
    to_behind = arp(Operation.REPLY, NEW, NEAR4, to=BEHIND.mac)
    assert neighbours.received(2, to_behind, 0.0) == [Resolved(2, NEAR4, NEW)]
    assert neighbours.mac_of(1, NEAR4) is None


# ---- answers -----------------------------------------------------------------------------------------------


def test_questions_for_own_addresses_are_answered() -> None:
    neighbours = watching()
    (four,) = frames(neighbours.received(1, request(), 0.0))
    assert four.destination == NEAR
    assert Arp.parse(four.payload) == Arp(Operation.REPLY, OUR_MAC, OUR4, NEAR, NEAR4)
    (six,) = frames(neighbours.received(1, solicitation(), 0.0))
    assert six.destination == NEAR
    assert parse(six.payload) == Advertisement(OUR6, NEAR6, OUR6, OUR_MAC, False, True, True)


def test_questions_for_others_are_not() -> None:
    neighbours = watching()
    assert neighbours.received(1, request(target=OTHER4), 0.0) == []
    assert neighbours.received(1, solicitation(target=NEAR6, source=address("2001:db8::3")), 0.0) == []


def test_who_asks_whether_an_own_address_is_free_learns_that_it_is_not() -> None:
    neighbours = watching()
    (four,) = frames(neighbours.received(1, request(sender=bytes(4)), 0.0))
    assert (four.destination, Arp.parse(four.payload)) == (
        NEAR,
        Arp(Operation.REPLY, OUR_MAC, OUR4, NEAR, bytes(4)),
    )
    free = Solicitation(bytes(16), solicited_node(OUR6), OUR6, None)
    frame = Frame(group_mac(solicited_node(OUR6)), NEAR, ethernet.IPV6, free.encode()).encode()
    (six,) = frames(neighbours.received(1, frame, 0.0))
    assert six.destination == group_mac(ALL_NODES)
    assert parse(six.payload) == Advertisement(OUR6, ALL_NODES, OUR6, OUR_MAC, False, False, True)


def test_a_port_that_forwards_says_so() -> None:
    link = Link(1, OUR_MAC, (ip_interface("2001:db8::1/64"),), router=True)
    (six,) = frames(watching(link=link).received(1, solicitation(), 0.0))
    answer = parse(six.payload)
    assert isinstance(answer, Advertisement)
    assert answer.router


def test_answers_are_limited() -> None:
    neighbours = watching()
    answered = [frame for _ in range(1000) for frame in frames(neighbours.received(1, request(), 1.0))]
    assert len(answered) == table.ANSWERS_BURST
    assert frames(neighbours.received(1, request(), 2.0))


@pytest.mark.parametrize(
    ("frame", "own"),
    [(request(mac=NEW, sender=OUR4, target=OUR4), OUR4), (solicitation(mac=NEW, source=OUR6), OUR6)],
    ids=["IPv4", "IPv6"],
)
def test_an_own_address_is_defended_now_and_then(frame: bytes, own: bytes) -> None:
    neighbours = watching()
    conflict, *told = neighbours.received(1, frame, 0.0)
    assert conflict == Conflict(1, own, NEW)
    assert len(frames(told)) == 1
    assert neighbours.received(1, frame, 5.0) == []
    assert neighbours.received(1, frame, table.DEFENCE_INTERVAL)


# ---- whatever comes ----------------------------------------------------------------------------------------

MACS = st.sampled_from([NEAR, NEW, OUR_MAC, bytes(6), BROADCAST])
FOURS = st.sampled_from([NEAR4, OUR4, OTHER4, bytes(4)])
SIXES = st.sampled_from([NEAR6, OUR6, address("2001:db8::3"), bytes(16)])
WANTED = st.sets(st.tuples(st.sampled_from([1, 2]), st.sampled_from([NEAR4, NEAR6, OTHER4, OUR4])))


class AnyTraffic(RuleBasedStateMachine):
    """Events tell exactly what is known; only what is wanted is known; questions never cease nor pile up."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.told: dict[tuple[int, bytes], bytes] = {}
        self.wanted: set[tuple[int, bytes]] = set()
        self.neighbours = Neighbours()

    @initialize(wanted=WANTED)
    def begin(self, wanted: set[tuple[int, bytes]]) -> None:
        self.want(wanted)

    @rule(wanted=WANTED)
    def want(self, wanted: set[tuple[int, bytes]]) -> None:
        self.wanted = wanted
        self.take(self.neighbours.configure([LINK, BEHIND], wanted, self.now))
        self.told = {key: mac for key, mac in self.told.items() if key in wanted}

    @rule(seconds=st.floats(0, 50))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (deadline := self.neighbours.deadline) <= until:
            self.now = max(self.now, deadline)
            outputs = self.neighbours.tick(self.now)
            assert len(outputs) <= 2 * len(self.wanted)
            self.take(outputs)
        self.now = until

    @rule(
        port=st.sampled_from([1, 2, 3]),
        operation=st.sampled_from(Operation),
        mac=MACS,
        to=MACS,
        data=st.data(),
    )
    def arp(self, port: int, operation: Operation, mac: bytes, to: bytes, data: st.DataObject) -> None:
        frame = arp(operation, mac, data.draw(FOURS), data.draw(FOURS), to)
        self.take(self.neighbours.received(port, frame, self.now))

    @rule(mac=MACS, source=SIXES, about=SIXES, option=st.none() | MACS, flags=st.tuples(*[st.booleans()] * 2))
    def discovery(
        self, mac: bytes, source: bytes, about: bytes, option: bytes | None, flags: tuple[bool, bool]
    ) -> None:
        for message in (
            Solicitation(source, OUR6, about, option),
            Advertisement(source, OUR6, about, option, False, *flags),
        ):
            frame = Frame(OUR_MAC, mac, ethernet.IPV6, message.encode()).encode()
            self.take(self.neighbours.received(1, frame, self.now))

    @rule(port=st.sampled_from([1, 2]), data=st.binary(max_size=80))
    def noise(self, port: int, data: bytes) -> None:
        assert self.neighbours.received(port, OUR_MAC + NEAR + data, self.now) == []

    def take(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Resolved(port, at, None):
                    assert self.told.pop((port, at))
                case Resolved(port, at, bytes() as mac):
                    assert self.told.get((port, at)) != mac
                    assert not mac[0] & 1
                    assert mac not in (OUR_MAC if port == 1 else BEHIND.mac, bytes(6))
                    self.told[port, at] = mac
                case Send(port, frame):
                    assert port in (1, 2)
                    assert Frame.parse(frame) is not None

    @invariant()
    def what_was_told_is_what_is_known(self) -> None:
        assert self.told.keys() <= self.wanted
        for port, at in self.wanted:
            assert self.neighbours.mac_of(port, at) == self.told.get((port, at))
        if len(self.neighbours):
            assert self.neighbours.deadline <= self.now + 46


TestAnyTraffic = AnyTraffic.TestCase
