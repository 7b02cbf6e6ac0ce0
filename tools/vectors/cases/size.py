# SPDX-License-Identifier: Apache-2.0
"""What fits the underlay, and what is told that it does not."""

from __future__ import annotations

from moorline.wire import OVERHEAD_IPV4, OVERHEAD_IPV6, Event

from ..build import Concern, punts, sends
from ..entries import LOCATOR4, LOCATOR6, changed, connection, uplink
from ..model import Entry
from ..packets import inner4, inner6, sent, tunnelled
from ..world import UNDERLAY, VIRTUAL4_LOCAL, VIRTUAL4_PEER, VIRTUAL6_LOCAL, VIRTUAL6_PEER

CASES = Concern("size")
case = CASES.case
FITS4, FITS6 = UNDERLAY.mtu - OVERHEAD_IPV4, UNDERLAY.mtu - OVERHEAD_IPV6
PEER6 = UNDERLAY.neighbour.address6


def narrow(mtu: int) -> tuple[Entry, Entry]:
    """The connection's entries when its path carries no longer packets than these."""
    return (
        connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, mtu=mtu),
        connection(VIRTUAL6_LOCAL, VIRTUAL6_PEER, mtu=mtu),
    )


case(
    "fits-ipv4",
    "An inner packet that just fits, over IPv4",
    "A5",
    *(sends(sent(inner), tunnelled(inner)) for inner in (inner4(size=FITS4), inner6(size=FITS4))),
)
case(
    "fits-ipv6",
    "An inner packet that just fits, over IPv6",
    "A5",
    *(
        sends(sent(inner), tunnelled(inner, destination=PEER6))
        for inner in (inner4(size=FITS6), inner6(size=FITS6))
    ),
    entries=changed(LOCATOR6),
)
case(
    "too-big-ipv4",
    "One octet more goes to the controller with the size that would fit, DF or not, since the virtual "
    "interface's own MTU is lowered",
    "A5",
    *(
        punts(sent(inner), Event.PUNT_TOO_BIG, mtu=FITS4)
        for inner in (inner4(size=FITS4 + 1, flags="DF"), inner4(size=FITS4 + 1), inner6(size=FITS4 + 1))
    ),
    entries=changed(LOCATOR4),
)
case(
    "too-big-ipv6",
    "The same over IPv6, where twenty octets less fit",
    "A5",
    *(
        punts(sent(inner), Event.PUNT_TOO_BIG, mtu=FITS6)
        for inner in (inner4(size=FITS6 + 1, flags="DF"), inner6(size=FITS6 + 1))
    ),
    entries=changed(LOCATOR6),
)
case(
    "small-underlay-mtu",
    "The uplink's MTU decides, not the interface's",
    "A5",
    sends(sent(inner4(size=1280 - OVERHEAD_IPV4)), tunnelled(inner4(size=1280 - OVERHEAD_IPV4))),
    punts(sent(inner4(size=1281 - OVERHEAD_IPV4)), Event.PUNT_TOO_BIG, mtu=1280 - OVERHEAD_IPV4),
    entries=changed(uplink(UNDERLAY, mtu=1280)),
)
case(
    "narrow-path-ipv4",
    "The uplink takes it, but not some link beyond a relay: one octet more than the path carries goes to the "
    "controller with that size",
    "A5",
    *(sends(sent(inner), tunnelled(inner)) for inner in (inner4(size=1380), inner6(size=1380))),
    *(
        punts(sent(inner), Event.PUNT_TOO_BIG, mtu=1380)
        for inner in (inner4(size=1381, flags="DF"), inner4(size=1381), inner6(size=1381))
    ),
    entries=changed(LOCATOR4, *narrow(1380)),
)
case(
    "narrow-path-ipv6",
    "The same over IPv6: what the path carries does not depend on the outer family",
    "A5",
    *(
        sends(sent(inner), tunnelled(inner, destination=PEER6))
        for inner in (inner4(size=1380), inner6(size=1380))
    ),
    *(
        punts(sent(inner), Event.PUNT_TOO_BIG, mtu=1380)
        for inner in (inner4(size=1381, flags="DF"), inner6(size=1381))
    ),
    entries=changed(LOCATOR6, *narrow(1380)),
)
case(
    "path-as-wide-as-uplink",
    "The path carries just what the uplink does",
    "A5",
    sends(sent(inner4(size=FITS4)), tunnelled(inner4(size=FITS4))),
    punts(sent(inner4(size=FITS4 + 1)), Event.PUNT_TOO_BIG, mtu=FITS4),
    entries=changed(LOCATOR4, *narrow(FITS4)),
)
case(
    "path-wider-than-uplink",
    "The path carries an octet more than the uplink does: the uplink decides",
    "A5",
    sends(sent(inner4(size=FITS4)), tunnelled(inner4(size=FITS4))),
    *(
        punts(sent(inner), Event.PUNT_TOO_BIG, mtu=FITS4)
        for inner in (inner4(size=FITS4 + 1), inner6(size=FITS4 + 1))
    ),
    entries=changed(LOCATOR4, *narrow(FITS4 + 1)),
)
case(
    "uplink-less-than-the-tunnel",
    "An uplink whose MTU is less than a tunnel's own octets lets nothing through",
    "A5",
    punts(sent(inner4()), Event.PUNT_TOO_BIG, mtu=0),
    entries=changed(uplink(UNDERLAY, mtu=OVERHEAD_IPV4 - 1)),
)
