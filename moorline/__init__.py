# SPDX-License-Identifier: Apache-2.0
"""Moorline: service connections that outlive address changes."""

__version__ = "0.1.0"
