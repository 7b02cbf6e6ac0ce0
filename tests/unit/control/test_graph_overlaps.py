# SPDX-License-Identifier: Apache-2.0
"""What matches have in common is found as by comparing each with each."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from control.graphs.compile import Match
from control.graphs.model import Ports
from control.graphs.overlaps import MatchIndex

# Few bits, so that prefixes often hold one another.
prefixes = st.one_of(
    st.none(),
    st.builds(
        lambda at, bits: IPv4Network((at << 29, bits), strict=False), st.integers(0, 7), st.integers(0, 4)
    ),
    st.builds(
        lambda at, bits: IPv6Network((at << 125, bits), strict=False), st.integers(0, 7), st.integers(0, 4)
    ),
)
ports = st.one_of(
    st.none(), st.builds(lambda first, size: Ports(first, first + size), *[st.integers(0, 3)] * 2)
)
matches = st.builds(Match, prefixes, prefixes, st.sampled_from([None, 6, 17]), ports, ports)


@given(st.lists(matches, max_size=12), matches)
def test_all_that_meet_are_found(known: list[Match], match: Match):
    index = MatchIndex((one, number) for number, one in enumerate(known))
    wanted = [number for number, one in enumerate(known) if one.meets(match)]
    assert sorted(index.meeting(match)) == wanted
