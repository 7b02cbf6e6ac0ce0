/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Which interface is which port of the contract. The agent writes both maps.
 *
 * The host's own access port is the far end of a veth pair whose near end carries the host's virtual
 * addresses: host_ifindex and host_mac are the near end's. On other ports they are 0: on underlay
 * ports, and on access ports whose link has hosts of its own (gateway ports).
 */
#ifndef MOORLINE_PORTS_H
#define MOORLINE_PORTS_H

#include "tables.h"

#define PORTS_SLOTS  1024 /* of the map ports */
#define PORTS_PROBES 4    /* slots that an interface may stand in, from ifindex % PORTS_SLOTS on */
#define PORT_NUMBERS 512

struct port_facts {
	u32 ifindex; /* 0 = no such port */
	u32 number;
	u32 host_ifindex;
	u8 mac[6]; /* the interface's own */
	u8 host_mac[6];
	u32 pad;
};

/* By interface, for packets that arrive. */
BPF_F_TABLE("array", u32, struct port_facts, ports, PORTS_SLOTS, BPF_F_MMAPABLE);

/* By port number, for packets that leave. */
BPF_F_TABLE("array", u32, struct port_facts, port_ifindex, PORT_NUMBERS, BPF_F_MMAPABLE);

static inline struct port_facts *port_of_interface(u32 ifindex)
{
	for (u32 probe = 0; probe < PORTS_PROBES; probe++) {
		u32 slot = (ifindex + probe) % PORTS_SLOTS;
		struct port_facts *facts = ports.lookup(&slot);

		if (facts && facts->ifindex == ifindex)
			return facts;
	}
	return NULL;
}

static inline struct port_facts *port_of_number(u32 number)
{
	struct port_facts *facts = port_ifindex.lookup(&number);

	return facts && facts->ifindex ? facts : NULL;
}

#endif
