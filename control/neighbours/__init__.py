# SPDX-License-Identifier: Apache-2.0
"""Address resolution for switches, which have no host to do it: ARP (RFC 826) and IPv6 neighbour discovery
(RFC 4861). Sans-IO: frames and time in, frames and events out."""
