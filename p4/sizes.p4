// SPDX-License-Identifier: Apache-2.0
// How many entries the tables hold. Those that a data plane in memory finds by the lowest bits of
// the key (port_role, scid, locator, uplink, member) need powers of two.
#ifndef MOORLINE_SIZES_P4
#define MOORLINE_SIZES_P4

const bit<32> SIZE_PORT_ROLE   = 512;
const bit<32> SIZE_TERMINATE   = 64;
const bit<32> SIZE_SCID        = 65536;
const bit<32> SIZE_CONNECTION  = 131072;
const bit<32> SIZE_LOCATOR     = 4096;
const bit<32> SIZE_UPLINK      = 64;
const bit<32> SIZE_ORIGIN      = 8192;
const bit<32> SIZE_FIB         = 4096; // of a switch
const bit<32> SIZE_OWN_ADDRESS = 1024; // of a switch
const bit<32> SIZE_SHORTCUT    = 65536;
const bit<32> SIZE_CLASSIFIER  = 16384;
const bit<32> SIZE_DEVICE      = 16384;
const bit<32> SIZE_PATH_HOP    = 65536;
const bit<32> SIZE_AFFINITY    = 65536;
const bit<32> SIZE_MEMBER      = 65536;
const bit<32> SIZE_RESUME      = 16384;
const bit<32> SIZE_ROUTE       = 16384;

const bit<32> SIZE_PORT_EVENTS = 32768; // 512 ports, 64 events each

#endif
