# SPDX-License-Identifier: Apache-2.0
"""The directory of customers and their devices, and of the endpoints of their tunnels."""
