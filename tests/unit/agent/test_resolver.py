# SPDX-License-Identifier: Apache-2.0
"""Names are resolved by lookups over one stream, which is begun again when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from dataplane.agent import lookups, resolver
from dataplane.agent.dns import Verdict
from dataplane.agent.dns_core import Addresses
from dataplane.agent.lookups import ControllerAwayError, LookupFailedError, Lookups
from dataplane.agent.resolver import Resolver
from dataplane.agent.translations import Translations
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc

HERE = api.Endpoint(service="laptop.demo", ipv4=bytes([198, 18, 0, 1]))
FILES = bytes([198, 18, 0, 7])


class Controller(rpc.NamingServicer):
    """Knows files.demo; hangs up at the name hangup.demo, and says nothing to silent.demo."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.registered: list[str] = []
        self.told: list[str] = []
        self.translations: Translations | None = None
        self.resolver: Resolver | None = None

    async def LookupStream(
        self, requests: AsyncIterator[api.LookupRequest], context: Any
    ) -> AsyncIterator[api.LookupResponse]:
        held = []
        async for request in requests:
            self.asked.append((request.client, request.server))
            answer = api.LookupResponse(request_id=request.request_id, server_ipv4=FILES)
            match request.server:
                case "hangup.demo":
                    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
                case "silent.demo":
                    continue
                case "late.demo":
                    held.append(answer)
                    continue
                case "secret.demo":
                    answer.failure.code = grpc.StatusCode.PERMISSION_DENIED.value[0]
                case "strange.demo":
                    answer.failure.code = grpc.StatusCode.INTERNAL.value[0]
                case name if name != "files.demo":
                    answer.failure.code = grpc.StatusCode.NOT_FOUND.value[0]
            yield answer
            while held:
                yield held.pop()

    async def GetService(self, request: api.GetServiceRequest, context: Any) -> api.Service:
        self.told.append(request.name)
        if request.name != "files.demo":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return api.Service(name=request.name, ipv4=FILES)

    async def RegisterService(self, request: api.RegisterServiceRequest, _context: Any) -> api.Service:
        self.registered.append(request.name)
        if self.translations is not None and self.resolver is not None:
            self.translations.set_endpoints([api.Endpoint(service=request.name)])
            self.resolver.endpoints_stand()
        return api.Service(name=request.name)


@pytest.fixture
async def controller() -> AsyncIterator[tuple[Controller, grpc.aio.Channel]]:
    server, servicer = grpc.aio.server(), Controller()
    rpc.add_NamingServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield servicer, channel
    await server.stop(0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(lookups, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(resolver, "OWN_SERVICE_SECONDS", 0.3)


@pytest.fixture
def translations() -> Translations:
    found = Translations()
    found.set_endpoints([HERE])
    return found


@pytest.fixture
async def resolving(
    controller: tuple[Controller, grpc.aio.Channel], translations: Translations
) -> AsyncIterator[Resolver]:
    found = Resolver("laptop", translations)
    found.endpoints_stand()
    found.use(controller[1])
    yield found
    found.use(None)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("files.demo", Addresses(FILES, b"")),
        ("secret.demo", Verdict.FORBIDDEN),
        ("nothing.demo", Verdict.UNKNOWN),
        ("strange.demo", Verdict.AWAY),
        ("silent.demo", Verdict.AWAY),
        ("laptop.demo", Addresses(HERE.ipv4, b"")),
    ],
)
async def test_what_becomes_of_a_name(resolving: Resolver, name: str, verdict: object) -> None:
    assert await resolving.resolve(name) == verdict


async def test_questions_that_come_together_are_one_lookup(
    controller: tuple[Controller, grpc.aio.Channel], resolving: Resolver
) -> None:
    await asyncio.gather(*(resolving.resolve("files.demo") for _ in range(5)))
    assert controller[0].asked == [("laptop.demo", "files.demo")]
    await resolving.resolve("files.demo")
    assert len(controller[0].asked) == 2


async def test_answers_may_come_in_another_order(
    controller: tuple[Controller, grpc.aio.Channel],
) -> None:
    asking = Lookups()
    asking.use(controller[1])
    late = asyncio.create_task(asking.lookup("laptop.demo", "late.demo"))
    while not controller[0].asked:
        await asyncio.sleep(0)
    assert (await asking.lookup("laptop.demo", "files.demo")).server_ipv4 == FILES
    assert (await late).server_ipv4 == FILES
    asking.use(None)


async def test_a_stream_that_ends_is_begun_again(resolving: Resolver) -> None:
    assert await resolving.resolve("hangup.demo") is Verdict.AWAY
    async with asyncio.timeout(5):
        while await resolving.resolve("files.demo") is Verdict.AWAY:
            await asyncio.sleep(0)


async def test_without_a_controller(resolving: Resolver, translations: Translations) -> None:
    end = api.ConnectionEnd(service="files.demo", ipv4=FILES)
    translations.put(api.Translation(scid=1, peer=end))
    resolving.use(None)
    assert await resolving.resolve("files.demo") == Addresses(FILES, b"")  # what is connected works on
    assert await resolving.resolve("other.demo") is Verdict.AWAY
    with pytest.raises(ControllerAwayError, match=r"^service other\.demo is not looked up"):
        await resolving.lookups.lookup("laptop.demo", "other.demo")


async def test_a_plain_host_behind_another_node_is_told_and_nothing_is_made_for_it(
    controller: tuple[Controller, grpc.aio.Channel], resolving: Resolver, translations: Translations
) -> None:
    printer, stranger = bytes([198, 18, 200, 10]), bytes([198, 18, 200, 11])
    translations.put(api.Translation(scid=1, peer=api.ConnectionEnd(service="printer.demo", ipv4=printer)))
    assert await resolving.resolve("files.demo", printer) == Addresses(FILES, b"")
    assert await resolving.resolve("nothing.demo", printer) is Verdict.UNKNOWN
    assert await resolving.resolve("files.demo", stranger) is Verdict.FORBIDDEN
    assert controller[0].told == ["files.demo", "nothing.demo"]
    assert controller[0].asked == []
    resolving.use(None)
    assert await resolving.resolve("printer.demo", printer) == Addresses(printer, b"")
    assert await resolving.resolve("files.demo", printer) is Verdict.AWAY


async def test_what_waits_fails_at_once_when_the_controller_goes(resolving: Resolver) -> None:
    waiting = asyncio.create_task(resolving.lookups.lookup("laptop.demo", "silent.demo"))
    await asyncio.sleep(0)
    resolving.use(None)
    with pytest.raises(ControllerAwayError, match="went away"):
        await waiting


async def test_a_refusal_carries_its_code(resolving: Resolver) -> None:
    with pytest.raises(LookupFailedError) as caught:
        await resolving.lookups.lookup("laptop.demo", "nothing.demo")
    assert caught.value.code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_a_host_without_a_service_gets_one_to_ask_with(
    controller: tuple[Controller, grpc.aio.Channel],
) -> None:
    servicer, channel = controller
    servicer.translations = Translations()
    servicer.resolver = found = Resolver("laptop", servicer.translations)
    found.endpoints_stand()
    found.use(channel)
    names = ("files.demo", "nothing.demo")
    assert await asyncio.gather(*map(found.resolve, names)) == [Addresses(FILES, b""), Verdict.UNKNOWN]
    assert servicer.registered == ["laptop.host"]  # once for both
    assert {client for client, _ in servicer.asked} == {"laptop.host"}
    found.use(None)


async def test_a_last_service_that_goes_as_a_name_is_asked_for(
    resolving: Resolver, translations: Translations
) -> None:
    translations.set_endpoints([])  # the addresses are still on the host: endpoints_stand() comes later
    assert await resolving.resolve("files.demo") is Verdict.AWAY


async def test_a_plain_host_asks_in_the_name_of_its_own_service(
    controller: tuple[Controller, grpc.aio.Channel], resolving: Resolver, translations: Translations
) -> None:
    address = bytes([198, 18, 200, 5])
    plain = api.Endpoint(service="printer.demo", ipv4=address, port=7)
    translations.set_endpoints([plain, HERE])
    assert await resolving.resolve("files.demo", address) == Addresses(FILES, b"")
    assert await resolving.resolve("files.demo") == Addresses(FILES, b"")
    assert controller[0].asked == [("printer.demo", "files.demo"), ("laptop.demo", "files.demo")]
    assert await resolving.resolve("printer.demo", address) == Addresses(address, b"")
    for stranger in (bytes([198, 18, 200, 6]), HERE.ipv4):  # nobody's, and the host's own
        assert await resolving.resolve("files.demo", stranger) is Verdict.FORBIDDEN
    assert len(controller[0].asked) == 2
