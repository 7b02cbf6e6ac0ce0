/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Service paths at the XDP hook: steps that are programs of their own, since one program with all of
 * them would be more than the verifier looks through. path_tc.h says what TC does.
 *
 * What one step has found out of a packet, the next finds in the journey, which each CPU has one of: a
 * tail call leaves neither stack nor registers. The packet itself is changed by the last step alone,
 * so that whoever is shown it sees it as it arrived.
 *
 *   underlay --> node ----+             +--> a peer's port
 *   access ---------------+             |
 *   peer ----> peer ------+----> hop ---+--> another node
 *               |         |      |      +--> end: the connection's node
 *   edge ----> edge ---+  |      |
 *   underlay -> device +--> class +---------> route: a port, a node, a user's tunnel
 */
#ifndef MOORLINE_JOURNEY_H
#define MOORLINE_JOURNEY_H

#include "connection.h"
#include "geneve.h"
#include "path_hop.h"

struct journey {
	struct traveller traveller;
	union address outer_source;
	u64 scid; /* 0: the packet is of no connection, or nobody knows yet of which */
	u32 tenant;
	u32 port;
	u32 inner_length;
	u32 available;    /* in the step node: octets of the Geneve payload */
	u16 inner_offset; /* in the frame as it arrived */
	u16 protocol;     /* of the inner packet, in network order */
	u16 node;         /* where the connection leaves its path, if scid is known */
	u16 path_mtu;     /* octets of the longest inner packet that the path carries */
	u16 vlan;         /* that the packet came with */
	u8 src_mac[6];    /* that it came from, where the port goes by it */
	u8 purpose;       /* of the step class: CLASS_* */
	u8 header;        /* of a peer port's frames */
	u8 by_mac;        /* see port_role */
	u8 ttl;           /* of the new outer headers; in the step node, of those it came in */
	u8 traffic_class; /* likewise: outer in the step node, then inner as it arrived */
	u8 ecn;           /* of the inner packet when it leaves */
	u8 hops;          /* by how much its TTL is lowered when it leaves */
	u8 is_ipv6;       /* inner */
	u8 tells_too_big; /* whether who sent it is told of its being too big */
};
BPF_F_TABLE("percpu_array", u32, struct journey, journeys, 1, 0);

BPF_F_TABLE("prog", u32, u32, xdp_steps, XDP_STEPS, 0);

/* Purposes of the step class. */
#define CLASS_ENTER 0 /* the packet enters its path here */
#define CLASS_CHECK 1 /* comes back from a peer: its class must lead to the path it is on */
#define CLASS_RESUME                                                                               \
	2 /* comes back from a peer: its class tells the path, the peer how far it is */

static inline struct journey *journey_of_cpu(void)
{
	u32 zero = 0;

	return journeys.lookup(&zero);
}

/* Of a packet that the steps know nothing of yet. */
static inline struct journey *begin_journey(const struct packet *packet)
{
	struct journey *journey = journey_of_cpu();

	if (!journey)
		return NULL;
	__builtin_memset(journey, 0, sizeof(*journey));
	journey->port = packet->port;
	journey->path_mtu = LONGEST_PACKET;
	journey->ttl = OUTER_TTL;
	return journey;
}

/* Goes on with another step. Comes back only where that one is missing, as none is once the loader has
 * ended. */
static inline int go_on(hook_context *ctx, struct packet *packet, u32 step)
{
	count_shared_hit(packet, packet->length);
	packet->shared_hits = NULL;
	xdp_steps.call(ctx, step);
	return EVENT_DROP_SERVICE_PATH;
}

/* Notes what the steps behind need to know of an inner packet. The cursor stands behind its header. */
static inline void note_inner(struct journey *journey, const struct cursor *cursor,
			      const struct inner *inner, u32 offset)
{
	struct traveller *traveller = &journey->traveller;

	journey->is_ipv6 = inner->is_ipv6;
	journey->inner_offset = offset;
	journey->inner_length = inner->length;
	journey->traffic_class = inner->traffic_class;
	journey->ecn = inner->traffic_class & ECN_MASK;
	traveller->transport = transport_of(cursor, inner);
	inner_addresses(inner, &traveller->source, &traveller->destination);
}

/* Makes the packet one of the connection between its inner addresses, and returns that: it leads to a
 * node, or has its other end here. NULL if there is none. */
static inline struct connection_entry *join_connection(struct packet *packet,
						       struct journey *journey)
{
	struct connection_entry *entry =
		connection_between(packet, journey->tenant, &journey->traveller.source,
				   &journey->traveller.destination);

	if (entry && entry->action == ACTION_local)
		return entry;
	if (!entry || entry->action != ACTION_encapsulate)
		return NULL;
	journey->scid = scid_of(entry->data.encapsulate.scid);
	journey->node = entry->data.encapsulate.node;
	if (journey->path_mtu > entry->data.encapsulate.mtu)
		journey->path_mtu = entry->data.encapsulate.mtu;
	return entry;
}

#endif
