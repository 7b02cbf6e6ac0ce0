# SPDX-License-Identifier: Apache-2.0
"""All benchmarks, each with the names of the rows that it yields. Names once given stay."""

from __future__ import annotations

from collections.abc import Callable

from tools.bench import (
    agent,
    chain,
    classify,
    control,
    mobility,
    network,
    paths,
    programming,
    programs,
    switch,
)
from tools.bench.report import Row

BENCHMARKS: tuple[tuple[Callable[[], list[Row]], tuple[str, ...]], ...] = (
    (
        programs.xdp_terminate,
        ("xdp.terminate.ns_ratio_floor", "xdp.terminate.scale_1m", "xdp.terminate.ns_ratio_katran"),
    ),
    (paths.shortcut, ("shortcut.ns_ratio_full",)),
    (classify.warm_and_new, ("classify.ns_ratio_masks", "classify.new_flow_ns")),
    (programs.tc_access, ("tc.access.ns_ratio_floor", "tc.access.scale_1m")),
    (network.throughput, ("tcp.throughput_ratio_vxlan", "tcp.throughput_ratio_plain")),
    (network.throughput_xdp, ("tcp.throughput_ratio_plain_xdp",)),
    (network.round_trip, ("rtt.added_us",)),
    (mobility.first_packet, ("connect.first_packet_ms", "connect.first_packet_ms.p99")),
    (mobility.address_change_gap, ("address_change.gap_ms",)),
    (mobility.entries_per_peer, ("address_change.entries_per_peer",)),
    (control.stored_lookups, ("control.lookups_ratio_echo", "control.lookups_stream_per_s")),
    (control.new_connections, ("control.connections_per_s", "control.connection_p99_ms")),
    (
        chain.hops,
        (
            "chain.pps_ratio_hops_3",
            "chain.added_us_per_hop",
            "chain.vs_star_throughput",
            "chain.vs_star_rtt",
        ),
    ),
    (chain.apply, ("graph.apply_ms",)),
    (agent.memory, ("memory.mib_1m_connections",)),
    (programming.agent, ("p4runtime.write_entries_per_s", "p4runtime.read_entries_per_s")),
    (programming.bmv2, ("p4runtime.write_entries_per_s_bmv2", "p4runtime.read_entries_per_s_bmv2")),
    (agent.restart, ("agent.restart_ms",)),
    (switch.relay, ("bmv2.relay.pps_ratio_l2",)),
)
