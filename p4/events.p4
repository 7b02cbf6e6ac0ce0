// SPDX-License-Identifier: Apache-2.0
// What became of a packet: moorline.wire.Event, counted per port. A switch has no part in those
// that speak of the host's kernel (DROP_PACKET_IN_FULL, DROP_NO_ROUTE).
#ifndef MOORLINE_EVENTS_P4
#define MOORLINE_EVENTS_P4

// While a packet is on its way its event is RX; whatever else it becomes ends its way.
enum bit<8> Event {
    RX                           = 0,
    TX                           = 1,
    PASS                         = 2,
    PUNT_CONNECTION_MISS         = 3,
    PUNT_TOO_BIG                 = 4,
    PUNT_TTL_EXPIRED             = 5,
    DROP_PACKET_IN_FULL          = 8,
    DROP_OUTER_TRUNCATED         = 9,
    DROP_OUTER_HEADER_LENGTH     = 10,
    DROP_OUTER_CHECKSUM          = 11,
    DROP_OUTER_LENGTH            = 12,
    DROP_OUTER_FRAGMENT          = 13,
    DROP_UDP_LENGTH              = 14,
    DROP_UDP_CHECKSUM            = 15,
    DROP_GENEVE_TRUNCATED        = 16,
    DROP_GENEVE_VERSION          = 17,
    DROP_GENEVE_OPTIONS          = 18,
    DROP_GENEVE_UNKNOWN_CRITICAL = 19,
    DROP_GENEVE_PROTOCOL         = 20,
    DROP_SCID_ZERO               = 21,
    DROP_SCID_UNKNOWN            = 22,
    DROP_TENANT                  = 23,
    DROP_SOURCE                  = 24,
    DROP_SERVICE_PATH            = 25,
    DROP_INNER_ADDRESS           = 26,
    DROP_INNER_TRUNCATED         = 27,
    DROP_INNER_VERSION           = 28,
    DROP_INNER_HEADER_LENGTH     = 29,
    DROP_INNER_CHECKSUM          = 30,
    DROP_INNER_LENGTH            = 31,
    DROP_INNER_ECN               = 32,
    DROP_CONNECTION_DENIED       = 33,
    DROP_NODE_UNKNOWN            = 34,
    DROP_UPLINK_UNKNOWN          = 35,
    DROP_NO_ROUTE                = 36,
    DROP_NO_NEIGHBOUR            = 37,
    DROP_NO_ROOM                 = 38,
    DROP_OUTER_TTL               = 39,
    DROP_OUTER_TOO_BIG           = 40,
    DROP_SERVICE_INDEX           = 41,
    DROP_PEER_UNKNOWN            = 42,
    DROP_PEER_UNEXPECTED         = 43,
    DROP_PEER_DOWN               = 44,
    DROP_CLASSIFIER_DENIED       = 45,
    DROP_DEVICE_UNKNOWN          = 46,
    DROP_DEVICE_ADDRESS          = 47,
    DROP_PEER_HEADER             = 48,
    DROP_TUNNEL_HEADER           = 49,
    DROP_PROBE_END               = 50
}

#endif
