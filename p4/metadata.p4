// SPDX-License-Identifier: Apache-2.0
// What the pipeline knows of a packet beside its headers.
#ifndef MOORLINE_METADATA_P4
#define MOORLINE_METADATA_P4

#include "constants.p4"
#include "events.p4"

enum bit<3> Role {
    UNASSIGNED = 0,
    UNDERLAY   = 1,
    ACCESS     = 2,
    EDGE       = 3,
    PEER       = 4,
    // What is at an underlay port, once it is known to be more than a connection's packet that is just as
    // nodes send it.
    PATH       = 5, // on a service path, from another node
    DEVICE     = 6, // in a user device's tunnel
    UNUSUAL    = 7  // a connection's packet in another form
}

// What the parser or a table has found a packet to be, and at last how it leaves.
enum bit<4> Fate {
    NONE       = 0,
    RESOLUTION = 1, // ARP, or neighbour discovery,
    QUESTION   = 2, // for an address of the switch,
    ANSWERED   = 3, // and the answer to that
    OPTIONS    = 4, // Geneve with other options than ours
    DELIVERED  = 5, // from a node, to an access port
    RELAYED    = 6, // from one node to another
    PORT       = 7, // to a port here, in no tunnel
    PEER       = 8, // to a feature peer
    TUNNEL     = 9, // into a user device's tunnel
    USUAL      = 10 // just what a node sends, as far as that is seen in its headers
}

// The list of options of a Geneve packet that is not in our own fixed form.
struct options_t {
    bit<8>    words_left;        // of the list
    bit<8>    option_words_left; // of the option at hand
    bool      own;
    bool      unknown_critical;
    bool      too_long; // an option is longer than the list
    bit<32>   head;
    bit<2016> list; // what is left of it comes first
}

// The connection's own addresses; zeros where it has none of a family.
struct addresses_t {
    bit<32>   local4;
    bit<32>   peer4;
    address_t local6;
    address_t peer6;
}

// The packet that a connection or a service path carries: what the network has in mind for it, and what it
// says itself, once it is found to be sound.
struct inner_t {
    tenant_t    tenant;
    bit<8>      hops;     // by how much its TTL is lowered
    bit<24>     spi;
    bit<8>      si;
    bit<16>     path_mtu; // octets of the longest that the whole path carries
    addresses_t addresses;
    bool        local;    // both ends of the connection are here
    bool        ipv6;
    bool        fragment; // no transport header to rely on
    bit<2>      ecn;      // once it is out of the tunnel,
    bit<2>      outer_ecn; // by what the tunnel said
    bit<32>     sum;      // of IPv4's options
    bit<32>     header_octets; // of its IP header
    bit<32>     length;   // in octets, by its own header
    bit<32>     frame_octets; // of what leaves
    bit<8>      traffic_class;
    bit<8>      protocol;
    address_t   src;
    address_t   dst;
}

// One end of a connection that is passed on between two nodes, and the SCID that leads there; 0 = that way
// is closed. The other end is meta.node and meta.scid.
struct relay_t {
    node_t node0;
    scid_t scid0;
}

// The port to the underlay by which a packet leaves.
struct uplink_t {
    bit<32>   src4;
    address_t src6;
    bit<16>   vlan; // 0 = untagged
    bit<16>   mtu;
}

// Of a packet that asks for an address of a switch.
struct question_t {
    bit<12>   vlan;   // 0 = untagged
    bit<48>   mac;    // of the port
    bit<1>    router;
    address_t target; // 0 = it does not ask
    bit<8>    icmp_type;
    bit<48>   asker;  // link-layer addresses of the question
    bit<48>   asked;
}

// What a packet becomes on its way into a tunnel.
struct departure_t {
    bit<32>   flow; // hash
    bit<8>    traffic_class; // of the outer packet, as the next one
    bit<8>    ttl;
    bool      ipv6; // the outer packet
    bit<64>   sum;  // of the flow
    bit<32>   overhead; // octets between Ethernet and the packet
    bit<16>   room;  // for the inner packet
}

// Whether a packet goes through the pipeline again, and how it first came. v1model forgets by which port.
enum bit<8> Again {
    NO         = 0,
    PACKET     = 1,
    PACKET_OUT = 2
}

// For what a packet goes through the pipeline again, with what is known of it by then: a table can be
// asked only once on a way.
enum bit<3> Look {
    FIRST = 0,
    HOP   = 1, // the instance is chosen: path_hop again
    END   = 2  // the path ends here: its connection
}

// What a frame from a feature peer says of the path that it is on.
struct steering_t {
    bit<8>  kind;     // of header at its port
    bit<1>  by_mac;   // its source counts
    bit<2>  check;    // what has to agree
    bool    by_class; // the path is that of its class
    bit<32> label;
    bit<48> src_mac;
}

// What of a packet the classifier sees, beside its addresses.
struct class_t {
    port_t  ingress_port;
    bit<12> vlan;
    bit<48> src_mac;
    bit<16> src_port;
    bit<16> dst_port;
}

// What comes next on a service path.
enum bit<8> Hop {
    NONE  = 0,
    PEER  = 1,
    NODE  = 2,
    GROUP = 3,
    END   = 4
}

struct hop_t {
    Hop       kind;
    bit<16>   instance;       // of the peer
    bit<16>   group;          // from which it is chosen,
    bit<1>    by_destination; // by this address
    address_t customer;
    bit<64>   sum;            // of the customer
    bit<32>   slot;
}

// A feature peer that the packet goes to.
struct peer_t {
    bit<8>    kind; // of the header before the packet
    bit<32>   label;
    bit<32>   label2;
    bit<48>   src_mac;
    bit<48>   dst_mac;
    address_t local;
    address_t remote;
}

// How a packet leaves that is on no path, or at its end.
struct way_t {
    bit<16> vlan;   // by a port; 0 = untagged
    bit<8>  tunnel; // into a user's tunnel
    bit<32> key;
    bit<32> octets; // of the tunnel's header behind IP
    bit<8>  protocol;
}

// A user device that came through a tunnel.
struct device_t {
    address_t address; // what the inner source is to be
    address_t mask;
}

// A packet that a service graph may lead, and where it stands in the frame.
struct service_t {
    Look    look;      // for what it is on its way
    Look    next;      // and goes on its way again; FIRST = it does not
    bool    inside;    // behind outer headers, or a peer's header
    bool    asked;     // the connection is known
    bit<32> available; // octets from the packet's first one on
    bit<24> spi;       // as it was before connection or class said theirs, as the next two
    bit<8>  si;
    bit<16> mtu;
    bit<32> key;       // of the tunnel that it came in
    bit<4>  version;   // of IP, behind labels
    steering_t steering;
    class_t    class;
    hop_t      hop;
    peer_t     peer;
    way_t      way;
    device_t   device;
}

// All that is known of a packet. It is a header, although it is never on the wire: a switch sets other
// metadata to zeros for each packet, field by field, and that took it longer than its tables. So nothing
// in here has a value before it is given one.
header known_t {
    Event       event;
    Role        role;
    Fate        fate;
    bit<8>      tunnel;    // 0: no packet to the port of a tunnel
    bit<32>     ip_octets; // that arrived, from the IP header on, padding included: once measured
    address_t   source;    // of the outer packet
    address_t   next;      // its destination; later, whom its link-layer header is to lead to
    port_t      port;      // where it leaves
    node_t      node;      // at the connection's other end, or that a relayed packet goes to
    scid_t      scid;
    bit<1>      path;      // to a node: which of two
    relay_t     relay;
    uplink_t    uplink;
    inner_t     inner;
    departure_t departure;
    service_t   service;
    options_t   options;
    question_t  question;
    bit<1>      pad;
}

struct metadata_t {
    known_t known;
    bit<16> zero; // stays that: what is left of a sum with its right checksum
    @field_list(FIELDS_KEPT)
    Again   again; // whether it goes through again; if so, the next is from its last way
    @field_list(FIELDS_KEPT)
    kept_t  kept;
}

#endif
