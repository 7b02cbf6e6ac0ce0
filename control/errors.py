# SPDX-License-Identifier: Apache-2.0
"""What the controller refuses, each with the gRPC status that its caller gets."""

from __future__ import annotations

from typing import ClassVar

import grpc

from moorline.errors import MoorlineError


class ControlError(MoorlineError):
    """Base of the controller's errors; ``status`` is what a gRPC caller gets with the sentence."""

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL


class InvalidRequestError(ControlError):
    """A request with a field that means nothing."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class NotFoundError(ControlError):
    """A service, connection, node or rule that is not there."""

    status = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(ControlError):
    """A name that is taken."""

    status = grpc.StatusCode.ALREADY_EXISTS


class DeniedError(ControlError):
    """A connection that the rules forbid, or a request that its caller may not make."""

    status = grpc.StatusCode.PERMISSION_DENIED


class UnauthenticatedError(ControlError):
    """A caller without an identity, or with a token that does not hold."""

    status = grpc.StatusCode.UNAUTHENTICATED


class ExhaustedError(ControlError):
    """No address, slot, node number or table room left."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class PreconditionError(ControlError):
    """A request that the present state does not allow."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class NodeAwayError(ControlError):
    """A node whose data plane cannot be programmed now."""

    status = grpc.StatusCode.UNAVAILABLE


class ConflictError(ControlError):
    """A store transaction whose compare failed: somebody else was first."""

    status = grpc.StatusCode.ABORTED


class StoreError(ControlError):
    """A store that cannot be opened, read or written."""

    status = grpc.StatusCode.INTERNAL


class StartError(ControlError):
    """Why the controller does not start."""
