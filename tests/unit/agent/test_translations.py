# SPDX-License-Identifier: Apache-2.0
"""The translation table, and the names that follow from it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dataplane.agent.dns_core import Addresses
from dataplane.agent.translations import Translations
from moorline.api.v1 import moorline_pb2 as api

V4 = {name: bytes([198, 18, 0, number]) for number, name in enumerate(("a.demo", "b.demo", "c.demo"))}


def translation(scid: int, peer: str, ipv4: bytes | None = None) -> api.Translation:
    end = api.ConnectionEnd(service=peer, node="other", ipv4=V4[peer] if ipv4 is None else ipv4)
    return api.Translation(scid=scid, peer_node_id=2, peer=end, status=api.CHANNEL_STATUS_UP)


def test_a_row_takes_the_place_of_another_of_its_connection() -> None:
    found = Translations()
    found.put(translation(1, "a.demo"))
    assert list(found) == [translation(1, "a.demo")]
    found.put(translation(1, "b.demo"))
    assert [row.peer.service for row in found] == ["b.demo"]
    assert found.addresses_of("a.demo") is None


def test_a_rotated_connection_takes_the_place_of_its_former_row() -> None:
    found = Translations()
    found.put(translation(1, "a.demo"))
    rotated = translation(2, "a.demo")
    rotated.former_scid = 1
    found.put(rotated)
    assert [(row.scid, row.former_scid) for row in found] == [(2, 0)]
    assert found.name_of(V4["a.demo"]) == "a.demo"
    found.remove(2)
    assert found.name_of(V4["a.demo"]) is None


def test_a_name_stays_as_long_as_any_connection_has_it() -> None:
    found = Translations()
    found.put(translation(1, "a.demo"))
    found.put(translation(2, "a.demo"))
    found.remove(1)
    found.remove(1)
    assert found.name_of(V4["a.demo"]) == "a.demo"
    assert found.addresses_of("a.demo") == Addresses(V4["a.demo"], b"")
    found.remove(2)
    assert found.name_of(V4["a.demo"]) is None
    assert found.addresses_of("a.demo") is None


def test_own_services_are_known_until_they_are_taken_away() -> None:
    found = Translations()
    found.set_endpoints([api.Endpoint(service="a.demo", ipv4=V4["a.demo"])])
    found.put(translation(1, "a.demo"))
    found.set_endpoints([api.Endpoint(service="b.demo", ipv4=V4["b.demo"])])
    assert found.name_of(V4["a.demo"]) == "a.demo"  # there is still a connection
    found.remove(1)
    assert found.name_of(V4["a.demo"]) is None
    assert found.name_of(V4["b.demo"]) == "b.demo"


def test_an_address_that_went_to_another_service_keeps_its_new_name() -> None:
    found = Translations()
    found.put(translation(1, "a.demo"))
    found.put(translation(2, "b.demo", ipv4=V4["a.demo"]))
    found.remove(1)
    assert found.name_of(V4["a.demo"]) == "b.demo"


def test_a_service_registered_anew_has_its_new_address_only() -> None:
    found = Translations()
    found.put(translation(1, "a.demo"))
    found.put(translation(2, "a.demo", ipv4=b"\xc6\x12\1\1"))
    assert found.name_of(V4["a.demo"]) is None
    assert found.addresses_of("a.demo") == Addresses(b"\xc6\x12\1\1", b"")


def test_only_those_that_were_named_stay() -> None:
    found = Translations()
    for scid, peer in enumerate(V4, start=1):
        found.put(translation(scid, peer))
    found.keep_only({2, 9})
    assert [row.scid for row in found] == [2]
    assert [found.addresses_of(peer) is not None for peer in V4] == [False, True, False]


def test_virtual_prefixes() -> None:
    found = Translations()
    found.set_prefixes(["198.18.0.0/15", "fd00::/64"])
    assert found.is_virtual(bytes([198, 19, 255, 255]))
    assert found.is_virtual(b"\xfd" + bytes(15))
    assert not found.is_virtual(bytes([198, 20, 0, 0]))
    assert not found.is_virtual(b"\xfd" + bytes(6) + b"\1" + bytes(8))


class Names(RuleBasedStateMachine):
    """A name is known exactly while a row or an endpoint has it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Translations()
        self.rows: dict[int, str] = {}
        self.own: list[str] = []

    @rule(scid=st.integers(1, 5), peer=st.sampled_from(list(V4)))
    def put(self, scid: int, peer: str) -> None:
        self.table.put(translation(scid, peer))
        self.rows[scid] = peer

    @rule(scid=st.integers(1, 5))
    def remove(self, scid: int) -> None:
        self.table.remove(scid)
        self.rows.pop(scid, None)

    @rule(scids=st.sets(st.integers(1, 5)))
    def keep_only(self, scids: set[int]) -> None:
        self.table.keep_only(scids)
        self.rows = {scid: peer for scid, peer in self.rows.items() if scid in scids}

    @rule(own=st.lists(st.sampled_from(list(V4)), unique=True))
    def set_endpoints(self, own: list[str]) -> None:
        self.table.set_endpoints([api.Endpoint(service=name, ipv4=V4[name]) for name in own])
        self.own = own

    @invariant()
    def names_are_those_of_rows_and_endpoints(self) -> None:
        for name, address in V4.items():
            known = name in self.rows.values() or name in self.own
            assert self.table.addresses_of(name) == (Addresses(address, b"") if known else None)
            assert self.table.name_of(address) == (name if known else None)


Names.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestNames = Names.TestCase
