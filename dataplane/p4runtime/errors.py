# SPDX-License-Identifier: Apache-2.0
"""From errors to what P4Runtime answers: status codes, ``p4.v1.Error`` and ``google.rpc.Status``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

import grpc
from finsy.proto import p4r, rpc_status
from google.protobuf.any_pb2 import Any as AnyMessage
from grpc import StatusCode

from dataplane.bpf.table_map import EntryExists, EntryMissing, TableFull
from dataplane.contract.errors import EntryError
from moorline.errors import MoorlineError

SPACE: Final = "moorline"
"""The error space named in ``p4.v1.Error``."""

DETAILS_KEY: Final = "grpc-status-details-bin"
"""Where gRPC carries a ``google.rpc.Status``."""

MAX_DETAILS: Final = 4 << 20
"""Octets of details that are still sent; beyond, only the first error is told, in words."""


class Refused(MoorlineError):  # noqa: N818
    """A request that is answered with ``code``."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def refuse(code: StatusCode, message: str) -> NoReturn:
    """Raises ``Refused``."""
    raise Refused(code, message)


def code_of(error: MoorlineError) -> StatusCode:
    """The status code for an error of any part."""
    match error:
        case Refused() | EntryError():
            return error.code
        case EntryExists():
            return StatusCode.ALREADY_EXISTS
        case EntryMissing():
            return StatusCode.NOT_FOUND
        case TableFull():
            return StatusCode.RESOURCE_EXHAUSTED
        case _:
            return StatusCode.INTERNAL


def number_of(code: StatusCode) -> int:
    """The number of a code in ``google.rpc.Code``."""
    number: int = code.value[0]
    return number


async def abort(context: grpc.aio.ServicerContext, error: MoorlineError) -> NoReturn:
    """Ends an RPC with one error."""
    await context.abort(code_of(error), str(error))
    raise AssertionError("abort raises")


async def abort_batch(context: grpc.aio.ServicerContext, errors: Sequence[MoorlineError | None]) -> NoReturn:
    """Ends an RPC with UNKNOWN and one ``p4.v1.Error`` for each item of its batch (``None``: it went
    well)."""
    failed = [n for n, error in enumerate(errors) if error is not None]
    message = f"{len(failed)} of {len(errors)} failed, the first is number {failed[0]}: {errors[failed[0]]}"
    status = rpc_status.Status(code=number_of(StatusCode.UNKNOWN), message=message)
    status.details.extend(_details(errors))
    packed = status.SerializeToString()
    metadata = ((DETAILS_KEY, packed),) if len(packed) <= MAX_DETAILS else ()
    await context.abort(StatusCode.UNKNOWN, message, metadata)
    raise AssertionError("abort raises")


def _details(errors: Sequence[MoorlineError | None]) -> list[AnyMessage]:
    well = AnyMessage()
    well.Pack(p4r.Error())
    details = []
    for error in errors:
        detail = well
        if error is not None:
            detail = AnyMessage()
            detail.Pack(p4r.Error(canonical_code=number_of(code_of(error)), message=str(error), space=SPACE))
        details.append(detail)
    return details
