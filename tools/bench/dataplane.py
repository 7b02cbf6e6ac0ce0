# SPDX-License-Identifier: Apache-2.0
"""A data plane of its own in a namespace of its own, with any number of connections in its tables."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import AsyncIPRoute

from dataplane.agent.port_map import PortEntry, PortMap
from dataplane.bpf import sys as bpf
from dataplane.bpf.attach import attach
from dataplane.bpf.hook import Hook
from dataplane.bpf.pipeline import Pipeline, PipelineSpec, ensure_pipeline
from dataplane.contract.binding import Binding
from dataplane.contract.layout import Field
from dataplane.contract.p4info import load_p4info
from dataplane.contract.rows import Match, Tables, Values
from moorline.addresses import mapped
from moorline.wire import Tunnel
from tools.bench.frames import HERE, OUTER_DESTINATION, OUTER_SOURCE, THERE, scid_of
from tools.bench.p4runtime import P4INFO
from tools.lab import cleanup
from tools.lab.namespace import Namespace
from tools.testrun import TestProgram

UPLINK, ACCESS = 1, 2
"""Port numbers."""

_REDIRECTS = (4, 7)  # XDP_REDIRECT, TC_ACT_REDIRECT
_SIZES = {"scid": 1 << 20, "connection": 1 << 20}
_NODE = 7
_MTU = 1428
"""Octets of the longest inner packet: more than any that is measured."""
_INTERFACES = {UPLINK: "up0", ACCESS: "ml0p"}

T = TypeVar("T")


class MeasuredDataPlane:
    """The pinned programs and tables, and the namespace that they run in."""

    def __init__(self, namespace: Namespace, pipeline: Pipeline) -> None:
        self._namespace = namespace
        self._pipeline = pipeline
        contract = load_p4info(P4INFO, _SIZES)
        self._tables = Tables(Binding(contract, pipeline.shapes), pipeline.tables)
        self._filled = 0
        self.xdp = self._program(Hook.XDP)
        self.tc = self._program(Hook.TC)
        self._write_ports()
        self._write_own_rows()

    @classmethod
    @contextmanager
    def made(cls) -> Iterator[MeasuredDataPlane]:
        """Load the programs; unloads them and removes the namespace at the end."""
        name = cleanup.unique_name()
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix=name))
            stack.callback(shutil.rmtree, folder)
            stack.callback(cleanup.remove_pins, name)
            namespace = Namespace(name, folder)
            stack.callback(namespace.close)
            for one, other in (("up0", "up0r"), ("ml0", "ml0p")):
                namespace.run("ip", "link", "add", one, "type", "veth", "peer", "name", other)
            for interface in ("up0", "up0r", "ml0", "ml0p"):
                namespace.set_link(interface, state="up")
            spec = PipelineSpec(P4INFO, cleanup.PINS / f"{name}-bench", folder, _SIZES, frozenset(Hook))
            yield cls(namespace, asyncio.run(ensure_pipeline(spec)))

    def inside(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the namespace."""
        return self._namespace.call(function)

    def reach(self, link: IPv4Interface, neighbours: Sequence[IPv4Address]) -> None:
        """Have the kernel know ways out by the uplink: to these neighbours on its link."""
        self._namespace.sysctl({"net/ipv4/conf/all/forwarding": "1"})
        self._namespace.run("ip", "address", "add", str(link), "dev", _INTERFACES[UPLINK])
        for address in neighbours:
            entry = ("lladdr", "02:00:00:00:00:03", "dev", _INTERFACES[UPLINK])
            self._namespace.run("ip", "neighbour", "add", str(address), *entry)

    def write(
        self, table: str, match: Match, action: str, params: Values | None = None, priority: int = 0
    ) -> None:
        """Make an entry be in a table."""
        self._tables.write(table, match, action, params, priority)

    def ifindex(self, port: int) -> int:
        """Interface number of a port."""
        return self._namespace.index(_INTERFACES[port])

    def fill(self, connections: int) -> None:
        """Make the tables hold the connections 0 to ``connections`` - 1."""
        deliver = _Packer(self._pipeline, "scid", "deliver")
        encapsulate = _Packer(self._pipeline, "connection", "encapsulate")
        scid, connection = self._pipeline.tables["scid"], self._pipeline.tables["connection"]
        for n in range(self._filled, connections):
            here, there = (HERE + n).to_bytes(4, "big"), (THERE + n).to_bytes(4, "big")
            own = {"port": ACCESS, "node": _NODE, "local4": here, "peer4": there}
            scid.insert(deliver.key({"scid": scid_of(n)}), deliver.action, deliver.data(own))
            pair = {"src": mapped(here), "dst": mapped(there)}
            sent = {"scid": scid_of(n), "node": _NODE, "mtu": _MTU}
            connection.insert(encapsulate.key(pair), encapsulate.action, encapsulate.data(sent))
        self._filled = connections

    def attach_tc(self, port: int, program: int) -> None:
        """Put a program, by its descriptor, where packets come in at a port; to be called inside."""

        async def put() -> None:
            async with AsyncIPRoute() as netlink:
                await attach(netlink, _INTERFACES[port], self.ifindex(port), Hook.TC, program)

        asyncio.run(put())

    @staticmethod
    def expect_redirect(verdict: int) -> None:
        """Raise RuntimeError unless the packet was sent on: what is dropped early must not be measured."""
        if verdict not in _REDIRECTS:
            raise RuntimeError(f"the measured packet was not sent on: verdict {verdict}")

    def _program(self, hook: Hook) -> TestProgram:
        return TestProgram(bpf.object_get(Path(self._pipeline.program_path(hook))), hook)

    def _write_ports(self) -> None:
        mac = bytes.fromhex("020000000001")
        entries = [
            PortEntry(self.ifindex(UPLINK), UPLINK, mac),
            PortEntry(self.ifindex(ACCESS), ACCESS, mac, self._namespace.index("ml0"), mac),
        ]
        PortMap(self._pipeline.ports, self._pipeline.port_ifindex).write(entries)

    def _write_own_rows(self) -> None:
        none = bytes(16)
        here, there = mapped(OUTER_DESTINATION), mapped(OUTER_SOURCE)
        paths: dict[str, int | bytes] = {"port0": UPLINK, "dst0": there, "port1": UPLINK, "dst1": there}
        source: dict[str, int | bytes] = {
            "src4": OUTER_DESTINATION.packed,
            "src6": none,
            "vlan": 0,
            "mtu": 1500,
        }
        self._tables.write("port_role", {"ingress_port": UPLINK}, "underlay")
        self._tables.write("port_role", {"ingress_port": ACCESS}, "access", {"tenant": 0, "hops": 0})
        self._tables.write("terminate", {"outer_dst": here, "tunnel": Tunnel.GENEVE}, "open")
        self._tables.write("uplink", {"port": UPLINK}, "set_source", source)
        self._tables.write(
            "locator", {"node": _NODE}, "set_paths", paths | {"previous0": none, "previous1": none}
        )


class _Packer:
    """Packs keys and parameters of one action as they lie in memory, a million of them quickly."""

    def __init__(self, pipeline: Pipeline, table: str, action: str) -> None:
        shape = pipeline.shapes[table]
        self._key, self._key_size = shape.key, shape.action
        self._params, self._data_size = shape.params[action], shape.data_size
        self.action = load_p4info(P4INFO).action(action).id

    def key(self, values: dict[str, Any]) -> bytes:
        return _packed(self._key, self._key_size, values)

    def data(self, values: dict[str, Any]) -> bytes:
        return _packed(self._params, self._data_size, values)


def _packed(fields: Sequence[Field], size: int, values: dict[str, Any]) -> bytes:
    """Fields that have no value are zero."""
    memory = bytearray(size)
    for field in fields:
        value = values.get(field.name, 0)
        memory[field.offset : field.offset + field.size] = (
            value if isinstance(value, bytes) else value.to_bytes(field.size, "little")
        )
    return bytes(memory)
