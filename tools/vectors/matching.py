# SPDX-License-Identifier: Apache-2.0
"""Keys of vectors as the contract's tables take them."""

from __future__ import annotations

from collections.abc import Mapping

from finsy.proto import p4i

from moorline.matches import Masked, Prefix

from .model import Value, matched


class Matching:
    """Knows from a P4Info which fields have a mask: what a vector gives as one value there has a full one."""

    def __init__(self, p4info: p4i.P4Info) -> None:
        self._ternary = {
            table.preamble.alias: {
                field.name: (1 << field.bitwidth) - 1
                for field in table.match_fields
                if field.match_type == p4i.MatchField.TERNARY
            }
            for table in p4info.tables
        }

    def of(self, table: str, key: Mapping[str, Value]) -> dict[str, int | bytes | Masked | Prefix]:
        """The key by fields."""
        ternary = self._ternary[table]
        match = {name: matched(value) for name, value in key.items()}
        return {
            name: _whole(value, ternary[name]) if name in ternary else value for name, value in match.items()
        }


def _whole(value: int | bytes | Masked | Prefix, ones: int) -> Masked | Prefix:
    if isinstance(value, Masked | Prefix):
        return value
    number = int.from_bytes(value) if isinstance(value, bytes) else value
    octets = (ones.bit_length() + 7) // 8
    return Masked(number.to_bytes(octets), ones.to_bytes(octets))
