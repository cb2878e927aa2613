"""What every request passes, whatever answers it: size limit, security headers, and no exception without an answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coldchain.services.epcis_capture import MAX_BYTES

MAX_BODY = 64 * 1024
"""No other request of this interface has a body worth more; entries end at 65,535 bytes."""
LARGER_BODIES = {
    "/v1/imports": 5 * 1024 * 1024,
    "/v1/telemetry": 2 * 1024 * 1024,
    "/epcis/v2/capture": MAX_BYTES,
}
"""By path."""

CLIENT_LEFT = 499
"""As web servers count a request whose client was gone before there was an answer."""
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

Answer = Callable[[Request, Exception], Response]
Observe = Callable[[Scope, int, float], None]
"""Takes (scope after routing, status, seconds) of each answered request."""


class Edge:
    """The outermost of our middleware."""

    def __init__(self, app: ASGIApp, answer: Answer, observe: Observe) -> None:
        self.app = app
        self.answer = answer
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, outgoing = time.perf_counter(), _Outgoing(send)
        try:
            declared = Headers(scope=scope).get("content-length", "0")
            limit = LARGER_BODIES.get(scope["path"], MAX_BODY)
            if not declared.isdecimal() or int(declared) > limit:
                raise _too_large(limit)
            await self.app(scope, _Limited(receive, limit), outgoing)
        except ClientDisconnect:  # nobody is left to answer, and nothing failed here
            outgoing.status = outgoing.status or CLIENT_LEFT
        except Exception as error:
            if outgoing.status:  # half an answer is out: closing the connection is all that can still be said
                raise
            await self.answer(Request(scope), error)(scope, receive, outgoing)
        finally:
            self.observe(scope, outgoing.status or 500, time.perf_counter() - began)


class _Outgoing:
    """Adds the headers and remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.update(SECURITY_HEADERS)
            headers.setdefault("cache-control", "no-store")
        await self._send(message)


class _Limited:
    """Counts the bytes of a body whose length was not declared."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._limit:
            raise _too_large(self._limit)
        return message


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"a request body may have {limit} bytes")
