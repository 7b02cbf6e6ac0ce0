# SPDX-License-Identifier: Apache-2.0
"""Feature peers that only forward, attached as a user's own: XDP programs in namespaces with one cable."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dataplane.bpf.headers import find_headers
from tools.lab.lab import Lab
from tools.lab.namespace import connect

SIGNED_PORT: Final = 7000
"""Datagrams to it are signed by each peer: the port of :class:`tools.lab.flow.PacedFlow`."""

_SOURCE: Final = Path(__file__).with_name("forwarder.c")
_LETTERS: Final = "abcde"


@dataclass(frozen=True)
class Forwarder:
    """A peer, the only one of its kind, which has its name; signs with ``letter``."""

    name: str
    letter: str
    mac: str

    @property
    def port(self) -> dict[str, Any]:
        """Its port in the file of the node."""
        return {"name": self.name, "role": "peer"}

    @property
    def settings(self) -> dict[str, Any]:
        """The peer in the file of the node."""
        attachment = {"ports": [self.name], "macs": [self.mac], "header": "vlan"}
        return {"name": self.name, "kind": self.name, **attachment}


def attach(lab: Lab, wanted: Mapping[str, Sequence[str]]) -> dict[str, Forwarder]:
    """Tie peers, five at most, to hosts of a lab that has not been started: their names by host."""
    # BCC comes with the distribution; it reads the environment.
    os.environ["BCC_KERNEL_SOURCE"] = str(find_headers())
    from bcc import BPF  # noqa: PLC0415

    module: Any = BPF(src_file=os.fsencode(_SOURCE), cflags=["-w", f"-DSIGNED_PORT={SIGNED_PORT}"])
    letters = iter(_LETTERS)
    found: dict[str, Forwarder] = {}
    for host, names in wanted.items():
        mine = []
        for name in names:
            letter = next(letters)
            program: int = module.load_func(f"forward_{letter}".encode(), BPF.XDP).fd
            mine.append(Forwarder(name, letter, _lay(lab, host, name, program)))
        found |= {one.name: one for one in mine}
        ports = [*lab[host].ports, *(one.port for one in mine)]
        for uplink in lab[host].uplinks:
            uplink.face_xdp()
        lab[host].set(port=ports, peer=[one.settings for one in mine])
    return found


def _lay(lab: Lab, host: str, name: str, program: int) -> str:
    """Tie a peer with this program to a host; returns its link-layer address."""
    place = lab.add_place(name)
    connect(lab[host].place, name, place, "eth0")
    place.set_link("eth0", xdp_fd=program)
    return place.mac("eth0")


def signatures(carried: Counter[bytes]) -> Counter[str]:
    """Letters of the peers that datagrams came through, in order, by what a flow has carried."""
    found: Counter[str] = Counter()
    for behind, packets in carried.items():
        found[behind[1 : 1 + behind[0]].decode()] += packets
    return found
