# SPDX-License-Identifier: Apache-2.0
"""Towards the data planes: P4Runtime clients, entries, reconciliation, packet-in and packet-out."""
