# SPDX-License-Identifier: Apache-2.0
"""Who may program this node: its controller and operators, known by their certificates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

from moorline.tls import Kind, peer_identity

ADMITTED: Final = frozenset({Kind.CONTROLLER, Kind.OPERATOR})
_DENIED: Final = "only the controller and operators may program a node: use a certificate of theirs"

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]


class OnlyControllerAndOperators(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls of everybody else with PERMISSION_DENIED."""

    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Any:
        """Put the check in front of the method's handler."""
        handler = await continuation(details)
        if handler is None:
            return None
        if handler.unary_unary:
            return handler._replace(unary_unary=_checked_call(handler.unary_unary))
        if handler.unary_stream:
            return handler._replace(unary_stream=_checked_stream(handler.unary_stream))
        if handler.stream_stream:
            return handler._replace(stream_stream=_checked_stream(handler.stream_stream))
        return handler._replace(stream_unary=_checked_call(handler.stream_unary))


async def _check(context: Any) -> None:
    identity = peer_identity(context)
    if identity is None or identity.kind not in ADMITTED:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, _DENIED)


def _checked_call(method: Any) -> Any:
    async def call(request: Any, context: Any) -> Any:
        await _check(context)
        return await method(request, context)

    return call


def _checked_stream(method: Any) -> Any:
    async def call(request: Any, context: Any) -> Any:
        await _check(context)
        answers = method(request, context)
        if hasattr(answers, "__aiter__"):
            async for answer in answers:
                yield answer
        else:
            await answers

    return call
