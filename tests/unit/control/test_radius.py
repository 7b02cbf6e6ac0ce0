# SPDX-License-Identifier: Apache-2.0
"""Sessions that network access servers tell of, with FreeRADIUS' radclient as one of them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import shutil
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control.errors import StartError
from control.subscribers.radius_config import RadiusClientConfig, RadiusConfig
from control.subscribers.radius_packet import Attribute, RadiusError, Reason, Report, Status, read
from control.subscribers.records import Account, Session, Traffic
from moorline.addresses import mapped
from moorline.api.v1 import subscribers_pb2 as api
from moorline.wire import Tunnel
from tests.unit.control.graph_site import EDGE_PORT, GraphSite, Packet, edge, peer
from tests.unit.control.test_subscribers import FAMILY, apply, stub, underlay

SECRET = b"a secret of both"
START = """User-Name = "carol"
Acct-Session-Id = "5a"
NAS-Identifier = "bras7"
Calling-Station-Id = "02-00-00-00-00-01"
Framed-IP-Address = 10.20.0.7
Framed-IPv6-Prefix = 2001:db8:20::/64
Class = "family"
"""


def with_status(status: str, text: str = START, **changes: str) -> str:
    for before, after in changes.items():
        text = text.replace(before, after)
    return f"{text}Acct-Status-Type = {status}\n"


async def radclient(port: int, text: str, secret: bytes = SECRET, command: str = "acct") -> str:
    """Send one request once; what the program says."""
    program = shutil.which("radclient")
    assert program is not None, "freeradius-utils is missing: make setup"
    process = await asyncio.create_subprocess_exec(
        program,
        *("-x", "-r", "1", "-t", "1", f"127.0.0.1:{port}", command, secret.decode()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(text.encode())
    return out.decode()


def client(folder: Path, **settings: Any) -> dict[str, Any]:
    file = folder / "secret"
    file.write_bytes(SECRET + b"\n")
    return {"address": "127.0.0.1", "secret_file": file, "node": "one"} | settings


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[GraphSite]:
    radius = RadiusConfig.model_validate({"address": "127.0.0.1", "port": 0, "client": [client(tmp_path)]})
    async with GraphSite(tmp_path, grace_seconds=0.05, radius=radius) as site:
        yield site


async def tell(site: GraphSite, text: str, secret: bytes = SECRET) -> bool:
    """Whether it was answered."""
    return "Received Accounting-Response" in await radclient(site.controller.radius.port, text, secret)


async def carol(site: GraphSite) -> api.Customer:
    found: api.Customer = await stub(site).GetCustomer(api.GetCustomerRequest(name="carol"))
    return found


async def counters(site: GraphSite) -> dict[tuple[str, str], int]:
    answer = await stub(site).ListRadiusCounters(api.ListRadiusCountersRequest())
    return {(one.client, one.outcome): one.packets for one in answer.counters}


async def test_a_session_is_known_while_it_lasts_and_then_its_account(site: GraphSite):
    assert await tell(site, with_status("Start"))
    (device,) = (await carol(site)).devices
    assert device.name == "02-00-00-00-00-01"
    assert list(device.prefixes) == ["10.20.0.7/32", "2001:db8:20::/64"]
    assert (device.node, device.location, list(device.profiles)) == ("one", "bras7", ["family"])
    assert (device.session.id, device.session.server) == ("5a", "127.0.0.1")
    used = "Acct-Input-Octets = 1000\nAcct-Output-Octets = 5\nAcct-Output-Gigawords = 2\n"
    assert await tell(site, with_status("Interim-Update", START + used))
    assert (await carol(site)).bytes_to == (2 << 32) + 5
    assert await tell(site, with_status("Stop", START + used))
    after = await carol(site)
    assert not after.devices
    assert (after.sessions, after.bytes_from, after.bytes_to) == (1, 1000, (2 << 32) + 5)
    await site.stop()
    await site.start()
    assert await carol(site) == after


async def test_a_session_outlives_the_controller(site: GraphSite):
    await tell(site, with_status("Start"))
    before = await carol(site)
    await site.stop()
    await site.start()
    assert await carol(site) == before


async def test_a_graph_follows_the_sessions_of_its_profile(site: GraphSite):
    await site.add_graph_node("one", peer("filter1", "filter", 20), ports=(edge("10.20.0.0/16"),))
    await site.add_graph_node("three", ports=(edge("203.0.113.0/24"),))
    await site.apply(FAMILY)
    packet = Packet("10.20.0.7", "203.0.113.5")
    assert site.walk("one", packet) == []
    one = site.nodes["one"].plane
    await tell(site, with_status("Start"))
    await one.until(lambda: bool(one.tables["classifier"]))
    await site.until(lambda: site.walk("one", packet) == ["filter1"])
    await tell(site, with_status("Stop"))
    await site.until(lambda: site.walk("one", packet) == [])


async def test_a_session_says_by_which_port_and_tunnel_its_device_comes(site: GraphSite):
    node = await site.add_graph_node("bras7", ports=(underlay("gre"), edge("203.0.113.0/24")))
    assert await tell(site, with_status("Start", START + f"NAS-Port = {EDGE_PORT}\n"))
    await node.plane.until(
        lambda: any(row[1].endswith(b"\x0a\x14\0\x07") for row in node.plane.tables["route"])
    )
    device = (await carol(site)).devices[0]
    assert (device.node, device.port) == ("bras7", str(EDGE_PORT))
    tunnel = "Tunnel-Type:1 = GRE\nTunnel-Client-Endpoint:1 = 192.0.2.7\nTunnel-Private-Group-Id:1 = 9\n"
    assert await tell(site, with_status("Interim-Update", START + tunnel))
    key = mapped("192.0.2.7"), int(Tunnel.GRE), 9
    await node.plane.until(lambda: node.plane.entry("device", *key) is not None)


async def test_a_device_in_a_file_gets_its_address_from_its_session(site: GraphSite):
    node = await site.add_graph_node("one", ports=(underlay("vxlan"),))
    await apply(
        site,
        "customers: [{name: carol, profiles: [gold], devices: [{name: 02-00-00-00-00-01, node: one, "
        "tunnel: {kind: vxlan, remote: 192.0.2.7, key: 3}}]}]",
    )
    assert not node.plane.tables["device"]
    await tell(site, with_status("Start"))
    await node.plane.until(lambda: len(node.plane.tables["device"]) == 1)
    (device,) = (await carol(site)).devices
    assert (list(device.prefixes), list(device.profiles)) == (["10.20.0.7/32"], ["gold", "family"])


async def test_an_address_goes_to_who_was_given_it_last(site: GraphSite):
    await tell(site, with_status("Start"))
    await tell(site, with_status("Start", carol="dave", **{'"5a"': '"5b"'}))
    found = await carol(site)
    assert (len(found.devices), found.sessions) == (0, 1)
    dave = await stub(site).GetCustomer(api.GetCustomerRequest(name="dave"))
    assert list(dave.devices[0].prefixes) == ["10.20.0.7/32", "2001:db8:20::/64"]


@pytest.mark.parametrize("prefix", ["10.20.0.7", "10.20.0.0/24"])
async def test_an_address_in_a_file_is_no_others(site: GraphSite, prefix: str):
    await apply(site, f"customers: [{{name: dave, devices: [{{name: d, addresses: [{prefix}]}}]}}]")
    assert await tell(site, with_status("Start"))
    assert list((await carol(site)).devices[0].prefixes) == ["2001:db8:20::/64"]


async def test_a_server_that_starts_anew_has_no_sessions(site: GraphSite):
    await tell(site, with_status("Start"))
    await tell(site, with_status("Start", **{'"5a"': '"5b"', "bras7": "bras8", "0.7": "0.8", "20::": "21::"}))
    assert await tell(site, 'NAS-Identifier = "bras7"\nAcct-Status-Type = Accounting-On\n')
    assert [device.location for device in (await carol(site)).devices] == ["bras8"]
    assert await tell(site, 'NAS-Identifier = "bras8"\nAcct-Status-Type = Accounting-Off\n')
    assert not (await carol(site)).devices
    assert await tell(site, with_status("Start"))
    assert len((await carol(site)).devices) == 1


async def test_an_end_that_is_told_twice_counts_once(site: GraphSite):
    await tell(site, with_status("Start"))
    used = START + "Acct-Input-Octets = 1000\n"
    for delay in (0, 3):
        assert await tell(site, with_status("Stop", f"{used}Acct-Delay-Time = {delay}\n"))
    assert await tell(site, with_status("Start", START + "Acct-Delay-Time = 9\n"))
    found = await carol(site)
    assert (len(found.devices), found.sessions, found.bytes_from) == (0, 1, 1000)


async def test_sessions_of_which_nothing_is_heard_end(tmp_path: Path):
    radius = RadiusConfig.model_validate(
        {"address": "127.0.0.1", "port": 0, "timeout_seconds": 0.4, "client": [client(tmp_path)]}
    )
    async with GraphSite(tmp_path, radius=radius) as site:
        assert await tell(site, with_status("Start", START + "Acct-Input-Octets = 7\n"))
        await site.until(lambda: not site.controller.subscribers.of_customer("carol"))
        assert (await carol(site)).bytes_from == 7


async def fallen_silent(site: GraphSite) -> Session:
    """A session that has timed out."""
    session = Session("127.0.0.1", "5a", "bras7", "carol", "", 0, heard_ns=1, traffic=Traffic(5, 5, 5, 5))
    await site.controller.subscribers.hear(session)
    assert await site.controller.subscribers.end_silent(0) == 1
    return session


async def test_a_session_that_was_silent_for_too_long_counts_once(site: GraphSite):
    subscribers, session = site.controller.subscribers, await fallen_silent(site)
    assert subscribers.account("carol") == Account(1, Traffic(5, 5, 5, 5))
    later = replace(session, heard_ns=2, traffic=Traffic(6, 5, 6, 5))
    await subscribers.hear(later)
    assert subscribers.account("carol") == Account(1, Traffic(6, 5, 6, 5))
    assert await subscribers.end_silent(0) == 1
    await subscribers.end([replace(later, heard_ns=3, traffic=Traffic(7, 5, 7, 5))])
    assert subscribers.account("carol") == Account(1, Traffic(7, 5, 7, 5))


async def test_another_session_of_a_name_that_fell_silent_counts_as_well(site: GraphSite):
    subscribers, session = site.controller.subscribers, await fallen_silent(site)
    await subscribers.hear(replace(session, heard_ns=2, traffic=Traffic()))
    await subscribers.hear(replace(session, heard_ns=3, traffic=Traffic(9, 9, 9, 9)))
    assert subscribers.account("carol") == Account(2, Traffic(14, 14, 14, 14))


async def test_a_removed_account_owes_nothing_to_a_session_that_returns(site: GraphSite):
    subscribers, session = site.controller.subscribers, await fallen_silent(site)
    await subscribers.remove("carol")
    await subscribers.hear(replace(session, heard_ns=2))
    assert subscribers.account("carol") == Account(1, Traffic(5, 5, 5, 5))


async def test_what_is_heard_late_neither_lowers_counters_nor_ends_a_session(site: GraphSite):
    """Reports are stored one after the other: what was found before may be another by then."""
    subscribers = site.controller.subscribers
    before = Session("127.0.0.1", "5a", "bras7", "carol", "", 0, heard_ns=1)
    await subscribers.hear(replace(before, heard_ns=2, traffic=Traffic(9, 9, 9, 9)))
    await subscribers.hear(replace(before, heard_ns=3, traffic=Traffic(8, 10, 0, 0)))
    assert subscribers.account("carol") == Account(1, Traffic(9, 10, 9, 9))
    await subscribers.end([before])
    assert subscribers.of_customer("carol")
    await subscribers.end([replace(before, heard_ns=4)])
    assert not subscribers.of_customer("carol")
    assert subscribers.account("carol") == Account(1, Traffic(9, 10, 9, 9))


async def test_a_client_may_tell_of_its_own_addresses_only(tmp_path: Path):
    settings = client(tmp_path, prefixes=["2001:db8::/32"], tenant=7)
    radius = RadiusConfig.model_validate({"address": "127.0.0.1", "port": 0, "client": [settings]})
    async with GraphSite(tmp_path, radius=radius) as site:
        assert await tell(site, with_status("Start"))
        found = await carol(site)
        assert list(found.devices[0].prefixes) == ["2001:db8:20::/64"]
        assert found.tenant == 7


async def test_a_wrong_secret_is_not_answered_and_changes_nothing(site: GraphSite, capsys: Any):
    assert not await tell(site, with_status("Start"), b"another secret")
    assert (await counters(site)) == {("127.0.0.1", "bad_authenticator"): 1}
    assert not (await stub(site).ListCustomers(api.ListCustomersRequest())).customers
    said = capsys.readouterr()
    assert "bad_authenticator" in said.out + said.err
    assert SECRET.decode() not in said.out + said.err


async def test_who_is_no_client_is_not_answered(tmp_path: Path):
    settings = client(tmp_path, address="127.0.0.2")
    radius = RadiusConfig.model_validate({"address": "127.0.0.1", "port": 0, "client": [settings]})
    async with GraphSite(tmp_path, radius=radius) as site:
        assert not await tell(site, with_status("Start"))
        assert (await counters(site)) == {("", "unknown_client"): 1}


async def test_the_server_says_that_it_lives(site: GraphSite):
    said = await radclient(site.controller.radius.port, "Message-Authenticator = 0x00\n", command="status")
    assert "Received" in said
    refused = await radclient(site.controller.radius.port, 'User-Name = "x"\n', command="auth")
    assert "No reply" in refused
    assert (await counters(site))["127.0.0.1", "no_accounting"] == 1


class Exchange(asyncio.DatagramProtocol):
    """A client of its own, for what radclient does not send."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.put_nowait(data)


async def test_a_request_that_is_sent_again_gets_the_same_answer(site: GraphSite):
    loop = asyncio.get_running_loop()
    target = ("127.0.0.1", site.controller.radius.port)
    transport, exchange = await loop.create_datagram_endpoint(Exchange, remote_addr=target)
    packet = request(attribute(40, b"\0\0\0\1"), attribute(44, b"5a"), attribute(1, b"carol"))
    try:
        for junk in (b"\4", packet[:19], packet[:-1], b"\xff" * 4096):
            transport.sendto(junk)
        transport.sendto(packet)
        transport.sendto(packet)
        async with asyncio.timeout(10):
            first = await exchange.answers.get()
            transport.sendto(packet)
            second = await exchange.answers.get()
        assert first == second
        assert first[:2] == bytes([5, packet[1]])
        want = hashlib.md5(first[:4] + packet[4:20] + first[20:] + SECRET).digest()
        assert first[4:20] == want
    finally:
        transport.close()
    counted = await counters(site)
    assert counted["127.0.0.1", "start"] == 1
    assert counted["127.0.0.1", "malformed"] == 4


def attribute(number: int, value: bytes) -> bytes:
    return bytes([number, len(value) + 2]) + value


def request(*attributes: bytes, code: int = 4, sign: bool = False) -> bytes:
    content = b"".join(attributes)
    if sign:
        content = attribute(80, bytes(16)) + content
    head = struct.pack("!BBH", code, 7, 20 + len(content))
    if sign:
        digest = hmac.new(SECRET, head + bytes(16) + content, "md5").digest()
        content = attribute(80, digest) + content[18:]
    return head + hashlib.md5(head + bytes(16) + content + SECRET).digest() + content


STARTED = (attribute(40, b"\0\0\0\1"), attribute(44, b"5a"), attribute(1, b"carol"))


def test_what_an_accounting_request_says():
    found = read(
        request(
            *STARTED,
            attribute(32, b"bras7"),
            attribute(8, bytes([10, 20, 0, 7])),
            attribute(97, bytes([0, 64]) + bytes.fromhex("20010db800200000")),
            attribute(168, bytes.fromhex("20010db8") + bytes(12)),
            attribute(25, b"family"),
            attribute(25, b"\xff\0"),
            attribute(11, b"kids"),
            attribute(5, b"\0\0\0\x09"),
            attribute(42, b"\0\0\0\x05"),
            attribute(52, b"\0\0\0\x01"),
            attribute(48, b"\0\0\0\x02"),
            attribute(64, b"\1\0\0\x07"),
            attribute(66, b"\1" + b"192.0.2.9"),
            sign=True,
        ),
        SECRET,
    ).report
    assert (found.status, found.nas, found.session) == (Status.START, "bras7", "5a")
    assert [*map(str, found.prefixes)] == ["10.20.0.7/32", "2001:db8::/128", "2001:db8:20::/64"]
    assert (found.profiles, found.ports) == (("kids", "family"), ("9",))
    assert found.tunnel is not None
    assert (found.tunnel.kind, str(found.tunnel.remote)) == ("ipip", "192.0.2.9")
    assert found.traffic == Traffic((1 << 32) + 5, 0, 0, 2)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", Reason.MALFORMED),
        (request(*STARTED)[:-1], Reason.MALFORMED),
        (request(*STARTED, b"\1\1"), Reason.MALFORMED),
        (request(*STARTED, b"\1\x09x"), Reason.MALFORMED),
        (request(*STARTED, code=1), Reason.NO_ACCOUNTING),
        (request(*STARTED)[:4] + bytes(16) + request(*STARTED)[20:], Reason.BAD_AUTHENTICATOR),
        (request(attribute(80, bytes(16)), *STARTED), Reason.BAD_AUTHENTICATOR),
        (request(attribute(80, b"short"), *STARTED), Reason.BAD_AUTHENTICATOR),
        (request(code=12), Reason.BAD_AUTHENTICATOR),
        (request(), Reason.INCOMPLETE),
        (request(attribute(40, b"\1")), Reason.INCOMPLETE),
        (request(*STARTED[:1], STARTED[2]), Reason.INCOMPLETE),
        (request(*STARTED[:2]), Reason.INCOMPLETE),
        (request(*STARTED[:2], attribute(1, b"\xff")), Reason.INCOMPLETE),
        (request(*STARTED, attribute(8, b"\1\2\3")), Reason.INCOMPLETE),
        (request(*STARTED, attribute(97, b"\0\x81")), Reason.INCOMPLETE),
        (request(*STARTED, attribute(168, mapped("10.20.0.7"))), Reason.INCOMPLETE),
        (request(*STARTED, attribute(64, b"\0\0\0\x0a"), attribute(66, b"nowhere")), Reason.INCOMPLETE),
    ],
)
def test_packets_that_are_dropped(packet: bytes, reason: Reason):
    with pytest.raises(RadiusError) as caught:
        read(packet, SECRET)
    assert caught.value.reason is reason


def test_padding_is_none_of_a_packet():
    assert read(request(*STARTED) + b"padding", SECRET).report.customer == "carol"


def test_a_status_that_nothing_follows_from_is_answered():
    assert read(request(attribute(40, b"\0\0\0\x0f")), SECRET).report == Report(None)


known = st.sampled_from([int(one) for one in Attribute] + [26, 80])
attributes = st.lists(st.builds(attribute, known, st.binary(max_size=20)), max_size=6)


@given(attributes)
@example([attribute(26, b"\0\0\0\1")])
def test_whatever_an_authentic_request_says_it_is_read_or_dropped(found: list[bytes]):
    try:
        report = read(request(*STARTED, *found), SECRET).report
    except RadiusError:
        return
    assert report.status is Status.START


@given(st.binary(max_size=64) | st.builds(lambda tail: request(*STARTED) + tail, st.binary(max_size=9)))
def test_whatever_arrives_is_read_or_dropped(packet: bytes):
    try:
        read(packet, SECRET)
    except RadiusError as error:
        assert SECRET.decode() not in str(error)


networks = st.sampled_from([*map(ip_network, ("10.0.0.1/32", "10.0.0.0/24", "2001:db8::/64"))])


@given(
    st.builds(
        Session,
        *(st.text() for _ in range(5)),
        st.integers(0, 9),
        st.lists(networks).map(tuple),
        st.lists(st.text()).map(tuple),
        traffic=st.builds(Traffic, st.integers(0), st.integers(0)),
    )
)
def test_sessions_come_back_from_the_store(session: Session):
    assert Session.decode(session.encode()) == session


@pytest.mark.parametrize("content", [None, b"\n", b"x" * 2000])
def test_a_secret_that_is_none(tmp_path: Path, content: bytes | None):
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    config = RadiusClientConfig(address="192.0.2.1", secret_file=file)  # type: ignore[arg-type]
    with pytest.raises(StartError, match=r"of RADIUS client 192\.0\.2\.1"):
        config.secret()
