/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The tables of the contract: for each P4 table a memory-mapped array of the same name.
 *
 * An entry holds the match fields, the action's number in the P4Info (0 = no entry), and the
 * parameters of the actions that have any, one struct each. Fields have the names of the contract;
 * the binding refuses a program whose fields do not fit it. An array of octets is in network order,
 * an integer in the host's.
 */
#ifndef MOORLINE_TABLES_H
#define MOORLINE_TABLES_H

#include "layouts.h"

/* What a port is for: the kernel's (no entry), underlay, access of a tenant, edge, or feature peer. */
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
		struct {
			u32 tenant;
			u8 hops;
			u8 pad[3];
		} edge;
		struct {
			u32 tenant;
			u8 header; /* kind (moorline.wire.PeerHeader) that its packets come with */
			u8 by_mac; /* whether the source of a frame says which path it is on */
			u8 pad[2];
		} peer;
	} data;
};
SLOT_TABLE(port_role, cpu);

/* Which outer packets are ours to open. */
struct terminate_entry {
	u8 outer_dst[16];
	u8 tunnel;
	u8 pad0[7];
	u32 action;
	u32 pad1;
};
ASSOC_TABLE(terminate, cpu);

/* Underlay side of a service connection, delivered or relayed: a cache line, and the rest of the
 * parameters. */
struct scid_entry {
	struct hits agent_hits;
	struct hits hits;
	u64 scid;
	u32 action;
	union {
		struct {
			u16 port;
			u16 node;
			u32 tenant;
			u8 local4[4];
			u8 peer4[4];
			u8 hops; /* by how much the inner TTL is lowered */
			u8 pad[3];
		} deliver;
		struct {
			u32 tenant;
			u16 node0; /* what comes from here goes to node1 as scid1 ... */
			u16 node1; /* ... and the other way round */
			u8 scid0[8];
		} relay;
	} data;
};
struct scid_rest {
	union {
		struct {
			u8 local6[16];
			u8 peer6[16];
		} deliver;
		struct {
			u8 scid1[8];
		} relay;
	} data;
};
SLOT_TABLE(scid, inside);

/* Access side: from a pair of virtual addresses to a service connection, in one cache line. */
struct connection_entry {
	u32 tenant;
	u8 src[16];
	u8 dst[16];
	u8 pad0[4];
	u32 action;
	union {
		struct {
			u8 scid[8];
			u32 spi;
			u16 node;
			u16 mtu; /* octets of the longest inner packet that the whole path carries */
			u8 si;
			u8 pad[3];
		} encapsulate;
		struct {
			u16 port; /* the other end's; 0 = the packet is the kernel's */
			u8 pad[2];
		} local;
	} data;
};
ASSOC_TABLE(connection, shared);

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
};
SLOT_TABLE(locator, cpu);

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
};
SLOT_TABLE(uplink, cpu);

/* Which node an underlay address belongs to. */
struct origin_entry {
	u8 source[16];
	u32 action;
	union {
		struct {
			u16 node;
			u16 pad;
		} from_node;
	} data;
};
ASSOC_TABLE(origin, cpu);

/* Where a flow enters a path, ahead of classifier and peers, in one cache line. */
struct shortcut_entry {
	u32 tenant;
	u8 protocol;
	u8 pad0[3];
	u8 src[16];
	u8 dst[16];
	u16 src_port;
	u16 dst_port;
	u32 pad1;
	u32 action;
	union {
		struct {
			u32 spi;
			u16 mtu;
			u8 si;
			u8 pad;
		} jump;
	} data;
};
ASSOC_TABLE(shortcut, shared);

/* Whose a user's device is that comes through a tunnel of its own. */
struct device_entry {
	u8 source[16];
	u32 key;
	u8 tunnel;
	u8 pad0[3];
	u32 action;
	union {
		struct {
			u32 tenant;
			u8 address[16]; /* of its inner packets, as far as the mask goes */
			u8 mask[16];
		} admit;
	} data;
};
ASSOC_TABLE(device, cpu);

/* The next step of a service path. What most peers need is in the first cache line. */
struct path_hop_entry {
	u32 spi;
	u16 instance; /* 0: no group has chosen one */
	u8 si;
	u8 pad0;
	u32 action;
	union {
		struct {
			u16 port;
			u8 header;
			u8 pad;
			u8 dst_mac[6];
			u8 src_mac[6];
			u32 label;
			u32 label2;
			u8 local[16]; /* of a tunnel to the peer */
			u8 remote[16];
		} to_peer;
		struct {
			u16 node;
			u16 pad;
		} to_node;
		struct {
			u16 group;
			u8 by_destination; /* the customer is the inner destination */
			u8 pad;
		} to_group;
	} data;
};
ASSOC_TABLE(path_hop, cpu);

/* Which instance of a group has a customer's flows, whatever the group would choose. */
struct affinity_entry {
	u8 customer[16];
	u16 group;
	u8 pad0[6];
	u32 action;
	union {
		struct {
			u16 instance;
			u16 pad;
		} pin;
	} data;
};
ASSOC_TABLE(affinity, cpu);

/* Which instance of a group has a part of its customers. */
struct member_entry {
	u32 slot; /* group << 8 | bucket */
	u32 action;
	union {
		struct {
			u16 instance;
			u16 pad;
		} choose;
	} data;
};
SLOT_TABLE(member, cpu);

/* Where a frame goes on that comes back from a feature peer. */
struct resume_entry {
	u16 ingress_port;
	u8 header;
	u8 pad0;
	u32 label;
	u8 src_mac[6];
	u8 pad1[2];
	u32 action;
	union {
		struct {
			u32 spi;
			u8 si;
			u8 check; /* what its inner addresses are held against */
			u8 pad[2];
		} resume_path;
		struct {
			u16 mtu;
			u8 si; /* of any path, without the peer */
			u8 pad;
		} resume_class;
	} data;
};
ASSOC_TABLE(resume, cpu);

/* What a packet is classified by; ports as in the flow hash. */
struct classifier_key {
	u8 src[16];
	u8 dst[16];
	u32 tenant;
	u16 ingress_port;
	u16 vlan;
	u8 src_mac[6];
	u16 src_port;
	u16 dst_port;
	u8 protocol;
	u8 pad[5];
} __attribute__((aligned(8)));

/* The service path of a class of packets. */
struct classifier_entry {
	struct classifier_key key;
	u32 tuple; /* number of its mask */
	u32 priority;
	u32 action;
	union {
		struct {
			u32 spi;
			u16 mtu; /* octets of the longest inner packet that the whole path carries */
			u8 si;
			u8 pad;
		} set_path;
	} data;
};
TERNARY_TABLE(classifier, cpu);

struct route_key {
	u8 destination[16];
	u32 tenant;
	u32 pad;
} __attribute__((aligned(8)));

/* Where a packet goes that is on no service path, or at its end. */
struct route_entry {
	struct route_key key;
	u32 tuple;
	u32 priority; /* length of the prefix */
	u32 action;
	union {
		struct {
			u16 port;
			u16 vlan;
		} route_port;
		struct {
			u16 node;
			u8 pad[2];
		} route_node;
		struct {
			u8 remote[16];
			u32 key;
			u16 port;
			u8 tunnel;
			u8 pad;
		} route_tunnel;
	} data;
};
TERNARY_TABLE(route, cpu);

#endif
