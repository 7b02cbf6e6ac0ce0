# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a contract, and with an entry that somebody wants to write."""

from __future__ import annotations

from typing import ClassVar

from grpc import StatusCode

from moorline.errors import MoorlineError


class ContractError(MoorlineError):
    """The P4Info, or what the C sources make of it, cannot be served."""


class ContractMismatch(ContractError):  # noqa: N818
    """P4Info and C struct disagree about a table."""

    def __init__(self, table: str, field: str, problem: str) -> None:
        super().__init__(f"table {table}, {field}: {problem}; make the P4 program and the C sources agree")
        self.table = table
        self.field = field


class EntryError(MoorlineError):
    """An entry that the contract does not allow; ``code`` is what P4Runtime answers."""

    code: ClassVar[StatusCode] = StatusCode.INVALID_ARGUMENT


class ValueOutOfRange(EntryError):  # noqa: N818
    """A value that is empty or wider than its field (P4Runtime specification, "Bytestrings")."""

    code = StatusCode.OUT_OF_RANGE


class NotAllowed(EntryError):  # noqa: N818
    """A valid object at a place where the P4 program forbids it."""

    code = StatusCode.PERMISSION_DENIED
