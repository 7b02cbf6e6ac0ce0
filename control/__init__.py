# SPDX-License-Identifier: Apache-2.0
"""The controller: naming, connections, address changes, reconciliation, store, API."""
