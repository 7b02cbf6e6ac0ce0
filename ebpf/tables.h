/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The tables of the contract: for each P4 table a pinned, memory-mapped array of the same name.
 *
 * An entry holds the match fields, the action's number in the P4Info (0 = no entry), the parameters
 * of the actions that have any, one struct each, and the direct counter. base_packets and
 * base_bytes belong to the agent: what an entry had counted where it stood before. Fields have
 * the names of the contract; the binding refuses a program whose fields do not fit it.
 * An array of octets is in network order, an integer in the host's.
 *
 * LAYOUT(table, layout) is read by the loader and expands to nothing:
 *   slot   element = the lowest bits of the first key field; the whole key is compared
 *   assoc  element found through the buckets of <table>_index; element 0 is never used
 */
#ifndef MOORLINE_TABLES_H
#define MOORLINE_TABLES_H

#include "headers.h"

#define LAYOUT(table, layout)

#define PIN(name) PIN_DIR "/" name

#define SLOT_TABLE(name)                                                                           \
	BPF_TABLE_PINNED7("array", u32, struct name##_entry, name, SIZE_##name, PIN(#name),        \
			  BPF_F_MMAPABLE)

#define ASSOC_TABLE(name)                                                                          \
	BPF_TABLE_PINNED7("array", u32, struct name##_entry, name, ELEMENTS_##name, PIN(#name),    \
			  BPF_F_MMAPABLE);                                                         \
	BPF_TABLE_PINNED7("array", u32, struct assoc_bucket, name##_index, BUCKETS_##name,         \
			  PIN(#name "_index"), BPF_F_MMAPABLE)

#define ASSOC_WAYS 8

/* One cache line of an assoc table's index: tag (upper 32 bits), element (lower 32), 0 = free. */
struct assoc_bucket {
	u64 way[ASSOC_WAYS];
};

/* What a port is for: the kernel's (no entry), underlay, or access of a tenant. */
struct port_role_entry {
	u16 ingress_port;
	u16 pad0;
	u32 action;
	union {
		struct {
			u32 tenant;
			u8 hops; /* by how much the inner TTL is lowered */
			u8 pad[3];
		} access;
	} data;
	u64 packets;
	u64 bytes;
	u64 base_packets;
	u64 base_bytes;
};
LAYOUT(port_role, slot)
SLOT_TABLE(port_role);

/* Which outer packets are ours to open. */
struct terminate_entry {
	u8 outer_dst[16];
	u8 tunnel;
	u8 pad0[7];
	u32 action;
	u32 pad1;
	u64 packets;
	u64 bytes;
	u64 base_packets;
	u64 base_bytes;
};
LAYOUT(terminate, assoc)
ASSOC_TABLE(terminate);

/* Underlay side of a service connection. What packets are checked against lies in the first cache
 * line, the counters in the second. */
struct scid_entry {
	u64 scid;
	u32 action;
	union {
		struct {
			u16 port;
			u16 node;
			u32 tenant;
			u8 local4[4];
			u8 peer4[4];
			u8 local6[16];
			u8 peer6[16];
		} deliver;
	} data;
	u32 pad0;
	u64 packets;
	u64 bytes;
	u64 base_packets;
	u64 base_bytes;
	u64 pad[4];
};
LAYOUT(scid, slot)
SLOT_TABLE(scid);

/* Access side: from a pair of virtual addresses to a service connection. */
struct connection_entry {
	u32 tenant;
	u8 src[16];
	u8 dst[16];
	u8 pad0[4];
	u32 action;
	u32 pad1;
	union {
		struct {
			u64 scid;
			u32 spi;
			u16 node;
			u8 si;
			u8 pad;
		} encapsulate;
	} data;
	u64 packets;
	u64 bytes;
	u64 base_packets;
	u64 base_bytes;
};
LAYOUT(connection, assoc)
ASSOC_TABLE(connection);

/* The paths to a node, and where its packets may come from. */
struct locator_entry {
	u16 node;
	u16 pad0;
	u32 action;
	union {
		struct {
			u8 dst0[16];
			u8 dst1[16];
			u8 previous0[16];
			u8 previous1[16];
			u16 port0;
			u16 port1;
			u32 pad;
		} set_paths;
	} data;
	u64 packets;
	u64 bytes;
	u64 base_packets;
	u64 base_bytes;
};
LAYOUT(locator, slot)
SLOT_TABLE(locator);

/* An underlay port's own addresses, VLAN (0 = untagged) and MTU. */
struct uplink_entry {
	u16 port;
	u16 pad0;
	u32 action;
	union {
		struct {
			u8 src6[16];
			u8 src4[4];
			u16 vlan;
			u16 mtu;
		} set_source;
	} data;
	u64 packets;
	u64 bytes;
	u64 base_packets;
	u64 base_bytes;
};
LAYOUT(uplink, slot)
SLOT_TABLE(uplink);

#endif
