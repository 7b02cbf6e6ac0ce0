# SPDX-License-Identifier: Apache-2.0
"""A controller and an agent that answer from a script, for the tests of the command."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from finsy.proto import p4i, p4r, p4r_grpc
from google.protobuf import text_format

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc
from moorline.api.v1 import peers_pb2 as peers
from moorline.api.v1 import peers_pb2_grpc as peers_rpc

SCID = 0x00AB_CDEF_0123_4567
P4INFO = Path(__file__).resolve().parents[2] / "p4" / "moorline.p4info.txtpb"


def v4(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


FILES = api.Service(
    name="files.demo",
    node="server",
    tenant=0,
    ipv4=v4("198.18.0.1"),
    ipv6=bytes(15) + b"\x01",
    registered_ns=10**18,
)
LAPTOP = api.Service(
    name="laptop.demo", node="laptop", ipv4=v4("198.18.0.2"), ttl_seconds=30, expires_ns=10**18 + 5_000_000
)
CONNECTION = api.Connection(
    scid=SCID,
    client=api.ConnectionEnd(
        service="laptop.demo", node="laptop", ipv4=v4("198.18.0.2"), locators=[v4("10.0.0.2")]
    ),
    server=api.ConnectionEnd(
        service="files.demo", node="server", ipv4=v4("198.18.0.1"), locators=[v4("10.0.1.2"), v4("10.0.2.2")]
    ),
    status=api.CHANNEL_STATUS_UP,
    parameters=api.ConnectionParameters(mtu=1448, idle_timeout_seconds=60),
    created_ns=10**18,
    client_to_server=api.Usage(packets=3, bytes=1500, bits_per_second=8_000),
    server_to_client=api.Usage(packets=900, bytes=1_300_000, bits_per_second=104_000_000),
    legs=[
        api.Leg(scid=SCID, client_side="laptop", server_side="gate"),
        api.Leg(scid=SCID + 1, client_side="gate", server_side="server"),
    ],
    former_scids=[SCID + 2],
)
PORT = api.Port(number=1, interface="eth0", role="underlay", hook="tc", up=True, mtu=1500)
LOCATOR = api.Locator(address=v4("10.0.0.2"), port=1, interface="eth0", mtu=1500)
NODE = api.Node(
    name="laptop",
    id=7,
    connected=True,
    converged=True,
    locators=[LOCATOR],
    generation=4,
    version="0.1.0",
    services=1,
    connections=1,
    connection_capacity=65536,
    ports=[PORT],
    last_seen_ns=10**18,
    via="gate",
)
SWITCH = api.Node(
    name="sw",
    id=9,
    connected=True,
    locators=[LOCATOR],
    connection_capacity=65536,
    problem="node sw runs another program: 'moorline switch replace-pipeline sw' gives it ours",
    switch=api.Switch(
        p4runtime="192.0.2.7:9559",
        device_id=1,
        pipeline=api.PIPELINE_STATE_OTHER_PROGRAM,
        ports=[
            api.SwitchPort(
                number=1,
                role="underlay",
                addresses=["10.0.0.2/24"],
                gateways=["10.0.0.1"],
                mtu=1500,
                mac="02:6d:6c:00:00:01",
            )
        ],
    ),
)


PEER = peers.FeaturePeerStatus(
    peer=peers.FeaturePeer(
        name="fw1",
        kind="firewall",
        ports=[
            peers.FeaturePeerPort(number=4, interface="fw1-in", mac=b"\2\0\0\0\0\4", port_mac=b"\2\0\0\0\0\3")
        ],
        header=peers.FEATURE_PEER_HEADER_VLAN,
        up=True,
    ),
    node="laptop",
    state=peers.FEATURE_PEER_STATE_DRAINING,
    drained=True,
)


class FakeController(
    rpc.NamingServicer,
    rpc.ConnectionsServicer,
    rpc.RulesServicer,
    rpc.NodesServicer,
    peers_rpc.FeaturePeersServicer,
):
    """Answers from fixed things; keeps the requests; ``failure`` makes every call fail."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.failure: tuple[grpc.StatusCode, str] | None = None
        self.connections = [CONNECTION]
        self.services = [LAPTOP, FILES]
        self.converged = True
        self.switch = SWITCH
        self.watch_forever = False
        self.watching = threading.Event()

    def _heard(self, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        if self.failure:
            context.abort(*self.failure)

    def ListFeaturePeers(self, request, context):
        self._heard(request, context)
        return peers.ListFeaturePeersResponse(peers=[PEER])

    def GetFeaturePeer(self, request, context):
        self._heard(request, context)
        return PEER

    def DrainFeaturePeer(self, request, context):
        self._heard(request, context)
        return PEER

    def RegisterService(self, request, context):
        self._heard(request, context)
        return FILES

    def RenewService(self, request, context):
        self._heard(request, context)
        return LAPTOP

    def GetService(self, request, context):
        self._heard(request, context)
        return FILES

    def UnregisterService(self, request, context):
        self._heard(request, context)
        return api.UnregisterServiceResponse()

    def ListServices(self, request, context):
        self._heard(request, context)
        return api.ListServicesResponse(services=self.services)

    def Lookup(self, request, context):
        self._heard(request, context)
        return api.LookupResponse(
            client=request.client,
            server=request.server,
            client_ipv4=LAPTOP.ipv4,
            server_ipv4=FILES.ipv4,
            server_ipv6=FILES.ipv6,
            client_locators=[v4("10.0.0.2")],
            server_locators=[v4("10.0.1.2")],
            scid=SCID,
            key=b"k" * 32,
            parameters=api.ConnectionParameters(mtu=1448),
        )

    def ListConnections(self, request, context):
        self._heard(request, context)
        return api.ListConnectionsResponse(connections=self.connections)

    def GetConnection(self, request, context):
        self._heard(request, context)
        return CONNECTION

    def CloseConnection(self, request, context):
        self._heard(request, context)
        return api.CloseConnectionResponse()

    def SuspendConnection(self, request, context):
        self._heard(request, context)
        return CONNECTION

    def RotateConnection(self, request, context):
        self._heard(request, context)
        return CONNECTION

    def WatchConnections(self, request, context):
        self._heard(request, context)
        yield api.ConnectionEvent(
            kind=api.ConnectionEvent.KIND_PRESENT, connection=CONNECTION, time_ns=10**18
        )
        yield api.ConnectionEvent(
            kind=api.ConnectionEvent.KIND_REMOVED, connection=CONNECTION, time_ns=10**18
        )
        if self.watch_forever:
            ended = threading.Event()
            context.add_callback(ended.set)
            self.watching.set()
            ended.wait()

    def PutRule(self, request, context):
        self._heard(request, context)
        return request

    def DeleteRule(self, request, context):
        self._heard(request, context)
        return api.DeleteRuleResponse()

    def ListRules(self, request, context):
        self._heard(request, context)
        rules = [
            api.Rule(name="20-rest", client="*", server="*.demo", allow=False),
            api.Rule(name="10-laptop", client="laptop.demo", server="files.demo", allow=True),
        ]
        return api.ListRulesResponse(rules=rules, default_allow=True)

    def ListNodes(self, request, context):
        self._heard(request, context)
        return api.ListNodesResponse(nodes=[NODE, SWITCH])

    def GetNode(self, request, context):
        self._heard(request, context)
        return self.switch if request.name == "sw" else NODE

    def AddSwitch(self, request, context):
        self._heard(request, context)
        # What became of it, the caller has to ask for.
        return api.Node(name=request.name, switch=api.Switch(p4runtime=request.p4runtime))

    def ReplacePipeline(self, request, context):
        self._heard(request, context)
        return SWITCH

    def SetNode(self, request, context):
        self._heard(request, context)
        return NODE

    def RemoveNode(self, request, context):
        self._heard(request, context)
        return api.RemoveNodeResponse()

    def CreateJoinToken(self, request, context):
        self._heard(request, context)
        return api.JoinToken(node=request.node, token="bW9vcg", expires_ns=10**18)

    def ListPortEvents(self, request, context):
        self._heard(request, context)
        counts = [("rx", 10, 1000), ("tx", 7, 700), ("drop_source", 3, 300), ("drop_tenant", 0, 0)]
        return api.ListPortEventsResponse(
            events=[
                api.PortEvent(
                    node="laptop", port=1, interface="eth0", event=event, packets=packets, bytes=octets
                )
                for event, packets, octets in counts
            ]
        )

    def GetControllerStatus(self, request, context):
        self._heard(request, context)
        return api.ControllerStatus(
            version="0.1.0",
            started_ns=10**18,
            store="/var/lib/moorline/controller/store.sqlite",
            services=2,
            connections=1,
            nodes=1,
            nodes_connected=1,
            nodes_converged=int(self.converged),
        )


class FakeAgent(rpc.AgentServicer, p4r_grpc.P4RuntimeServicer):
    """An agent whose data plane holds two entries."""

    connected = True

    def GetAgentStatus(self, request, context):
        return api.AgentStatus(
            node="laptop",
            node_id=7,
            version="0.1.0",
            controller="controller.example:6083",
            controller_connected=self.connected,
            ports=[PORT],
            locators=[LOCATOR],
            endpoints=[api.Endpoint(service="laptop.demo", ipv4=LAPTOP.ipv4)],
            pipeline_digest="abc",
            started_ns=10**18,
        )

    def GetForwardingPipelineConfig(self, request, context):
        answer = p4r.GetForwardingPipelineConfigResponse()
        text_format.Parse(P4INFO.read_text(), answer.config.p4info)
        return answer

    def Read(self, request, context):
        wanted = request.entities[0].table_entry
        assert wanted.HasField("counter_data")
        entries = [e for e in two_entries() if wanted.table_id in (0, e.table_id)]
        yield p4r.ReadResponse(entities=[p4r.Entity(table_entry=entry) for entry in entries])


def two_entries() -> list[p4r.TableEntry]:
    """One of ``connection`` and one of ``locator``, as a P4Runtime server sends them."""
    info = p4i.P4Info()
    text_format.Parse(P4INFO.read_text(), info)
    tables = {table.preamble.alias: table for table in info.tables}
    actions = {action.preamble.alias: action for action in info.actions}

    def entry(table: str, match: dict[str, bytes], action: str, params: dict[str, bytes]) -> p4r.TableEntry:
        fields = {field.name: field.id for field in tables[table].match_fields}
        numbers = {param.name: param.id for param in actions[action].params}
        return p4r.TableEntry(
            table_id=tables[table].preamble.id,
            match=[
                p4r.FieldMatch(field_id=fields[name], exact=p4r.FieldMatch.Exact(value=value))
                for name, value in match.items()
            ],
            action=p4r.TableAction(
                action=p4r.Action(
                    action_id=actions[action].preamble.id,
                    params=[
                        p4r.Action.Param(param_id=numbers[name], value=value)
                        for name, value in params.items()
                    ],
                )
            ),
            counter_data=p4r.CounterData(packet_count=5, byte_count=500),
        )

    mapped = b"\xff\xff"
    return [
        entry(
            "connection",
            {"tenant": b"\x03", "src": mapped + v4("198.18.0.2"), "dst": mapped + v4("198.18.0.1")},
            "encapsulate",
            {
                "scid": SCID.to_bytes(8, "big").lstrip(b"\0"),
                "node": b"\x07",
                "spi": b"\0",
                "si": b"\0",
                "mtu": (1428).to_bytes(2, "big"),
            },
        ),
        entry(
            "locator",
            {"node": b"\x07"},
            "set_paths",
            {
                "port0": b"\x01",
                "dst0": mapped + v4("10.0.1.2"),
                "port1": b"\x02",
                "dst1": b"\xfd" + bytes(14) + b"\x09",
                "previous0": b"\0",
                "previous1": b"\0",
            },
        ),
    ]


@contextmanager
def serving(servicer: FakeController | FakeAgent, socket: Path) -> Iterator[None]:
    """Serve on a unix socket until the end of the block."""
    server = grpc.server(ThreadPoolExecutor(4))
    if isinstance(servicer, FakeController):
        rpc.add_NamingServicer_to_server(servicer, server)
        rpc.add_ConnectionsServicer_to_server(servicer, server)
        rpc.add_RulesServicer_to_server(servicer, server)
        rpc.add_NodesServicer_to_server(servicer, server)
        peers_rpc.add_FeaturePeersServicer_to_server(servicer, server)
    else:
        rpc.add_AgentServicer_to_server(servicer, server)
        p4r_grpc.add_P4RuntimeServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()
