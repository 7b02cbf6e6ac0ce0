# SPDX-License-Identifier: Apache-2.0
"""What a match field is compared with, where that is not one exact value."""

from __future__ import annotations

from typing import NamedTuple


class Prefix(NamedTuple):
    """What a field that is matched by its longest prefix (LPM) is compared with.

    ``value`` in network order, zeros behind the first ``length`` bits; a length of 0 matches everything.
    """

    value: bytes
    length: int


class Masked(NamedTuple):
    """What a ternary field is compared with: the bits of ``value`` where ``mask`` has ones.

    Both in network order; ``value`` has zeros where ``mask`` has; a mask of zeros matches everything.
    """

    value: bytes
    mask: bytes
