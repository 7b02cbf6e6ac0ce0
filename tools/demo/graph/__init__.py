# SPDX-License-Identifier: Apache-2.0
"""The demonstration of service graphs: a user device's traffic, led through feature peers."""
