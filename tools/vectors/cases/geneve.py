# SPDX-License-Identifier: Apache-2.0
"""The Geneve header and its options."""

from __future__ import annotations

from typing import Any

from moorline.wire import OPTION_CLASS, Event

from ..build import Concern, delivers, drops, passes
from ..packets import GENEVE_BASE, OPTION, UDP_HEADER, Data, arriving4, delivered, option, stranger_option
from ..world import UNDERLAY

CASES = Concern("geneve")
case = CASES.case
INNER = arriving4()
OTHER_CLASS = 0x0102
"""Open Virtual Networking's."""
CRITICAL, PLAIN = 0x80, 0x01
"""Types of options that are not ours, with the critical bit and without."""


def _frame(**fields: Any) -> bytes:
    return Data(arriving4(), **fields).frame()


def _cut(length: int, *, ipv6: bool = False) -> bytes:
    """A data packet whose outer headers are right and that ends ``length`` octets behind the UDP header."""
    good = (
        Data(arriving4(), ip={})
        if not ipv6
        else Data(arriving4(), source=UNDERLAY.neighbour.address6, destination=UNDERLAY.address6)
    )
    udp_length = UDP_HEADER + length
    ip = {"plen": udp_length} if ipv6 else {"len": 20 + udp_length}
    cut = Data(
        good.inner, source=good.source, destination=good.destination, ip=ip, udp={"len": udp_length}
    ).frame()
    return cut[: good.transport + udp_length]


case(
    "truncated-base",
    "A packet that ends before the end of the Geneve header, over IPv4 and IPv6",
    "U8",
    *(drops(_cut(length), Event.DROP_GENEVE_TRUNCATED) for length in (0, 1, GENEVE_BASE - 1)),
    drops(_cut(GENEVE_BASE - 1, ipv6=True), Event.DROP_GENEVE_TRUNCATED),
)
case(
    "truncated-option",
    "A packet that ends before the end of the options that its header announces",
    "U8",
    *(drops(_cut(GENEVE_BASE + length), Event.DROP_GENEVE_TRUNCATED) for length in (0, 3, 4, OPTION - 1)),
    drops(_cut(GENEVE_BASE + OPTION - 1, ipv6=True), Event.DROP_GENEVE_TRUNCATED),
)
case(
    "version",
    "Versions other than 0 (RFC 8926, section 3.4: must be dropped)",
    "U8",
    *(drops(_frame(geneve={"version": version}), Event.DROP_GENEVE_VERSION) for version in (1, 2, 3)),
)
case(
    "reserved-bits",
    "Reserved bits are ignored (RFC 8926, section 3.4)",
    "U8",
    delivers(_frame(geneve={"reserved": 0x3F}), delivered(INNER)),
    delivers(_frame(geneve={"reserved2": 0xFF}), delivered(INNER)),
)
case(
    "option-reserved-bits",
    "Reserved bits of the option are ignored (RFC 8926, section 3.5)",
    "U8",
    delivers(
        _frame(options=(option().__class__(bytes(option())[:3] + b"\xe3" + bytes(option())[4:]),)),
        delivered(INNER),
    ),
)
case(
    "critical-flag-clear",
    "Our option is critical, and the header must say so (RFC 8926, section 3.4)",
    "U8",
    drops(_frame(geneve={"critical": 0}), Event.DROP_GENEVE_OPTIONS),
)
case(
    "control-packet",
    "The payload of a control packet (O bit) must not be forwarded (RFC 8926, section 3.4)",
    "U9",
    drops(_frame(geneve={"oam": 1}), Event.DROP_GENEVE_PROTOCOL),
)
case(
    "no-option",
    "Plain Geneve is somebody else's: the kernel's",
    "U8",
    passes(_frame(options=(), geneve={"critical": 0})),
)
case(
    "other-option",
    "An option of another class that is not critical: somebody else's Geneve",
    "U8",
    passes(_frame(options=(stranger_option(OTHER_CLASS, PLAIN),), geneve={"critical": 0})),
    passes(_frame(options=(stranger_option(OTHER_CLASS, PLAIN, 3),), geneve={"critical": 0})),
    passes(_frame(options=(stranger_option(OPTION_CLASS, PLAIN, 3),), geneve={"critical": 0})),
)
case(
    "unknown-critical-option",
    "A critical option that nobody here knows (RFC 8926, section 3.5: must be dropped)",
    "U8",
    drops(_frame(options=(stranger_option(OTHER_CLASS, CRITICAL),)), Event.DROP_GENEVE_UNKNOWN_CRITICAL),
    drops(_frame(options=(stranger_option(OPTION_CLASS, 0x82, 3),)), Event.DROP_GENEVE_UNKNOWN_CRITICAL),
    drops(
        _frame(options=(stranger_option(OTHER_CLASS, CRITICAL | 1, 3),)), Event.DROP_GENEVE_UNKNOWN_CRITICAL
    ),
)
case(
    "option-length",
    "Our option with another length than three words",
    "U8",
    *(
        drops(
            _frame(options=(stranger_option(OPTION_CLASS, 0x81, words),)),
            Event.DROP_GENEVE_OPTIONS,
        )
        for words in (0, 1, 2, 4, 31)
    ),
)
case(
    "two-options",
    "Our option together with another: data packets have a fixed form",
    "U8",
    *(
        drops(_frame(options=options), Event.DROP_GENEVE_OPTIONS)
        for options in (
            (option(), stranger_option(OTHER_CLASS, PLAIN)),
            (stranger_option(OTHER_CLASS, PLAIN), option()),
            (option(), option()),
        )
    ),
)
case(
    "ours-and-unknown-critical-option",
    "Our option together with a critical one that nobody here knows",
    "U8",
    *(
        drops(_frame(options=options), Event.DROP_GENEVE_UNKNOWN_CRITICAL)
        for options in (
            (option(), stranger_option(OTHER_CLASS, CRITICAL)),
            (stranger_option(OTHER_CLASS, CRITICAL), option()),
        )
    ),
)
case(
    "option-beyond-options",
    "An option that is longer than what the header announces for all",
    "U8",
    drops(_frame(options=(option(),), geneve={"optionlen": 3}), Event.DROP_GENEVE_OPTIONS),
    drops(
        _frame(options=(stranger_option(OTHER_CLASS, PLAIN, 3),), geneve={"critical": 0, "optionlen": 2}),
        Event.DROP_GENEVE_OPTIONS,
    ),
)
case(
    "inner-protocol",
    "A protocol type other than IPv4 and IPv6: Ethernet, a session frame's before there are any, ARP, 0",
    "U9",
    *(
        drops(_frame(geneve={"proto": proto}), Event.DROP_GENEVE_PROTOCOL)
        for proto in (0x6558, 0x88B5, 0x0806, 0x0000)
    ),
)
