# SPDX-License-Identifier: Apache-2.0
"""A good frame, for a fuzz run to start from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A frame and the offsets of its headers; 0 for a header that it does not have.

    ``network`` is the outermost IP header, ``inner`` the one behind Moorline's option.
    """

    port: int
    frame: bytes
    network: int
    udp: int = 0
    geneve: int = 0
    inner: int = 0
