"""HTTP/1.1 with an end to every client's time: whoever sends slowly holds a socket for a while and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""From the first byte of a request, or from the connection, to the end of its headers."""
BODY_S = 120.0
"""From there to the end of its body: 5 MB at the pace of a poor mobile line."""
IDLE_S = 5
"""A connection without a request under way."""
CONNECTIONS = 512
"""Beyond them requests are answered 503; half of the files that a process may have open by default."""


class Patient(H11Protocol):
    """uvicorn's protocol, which by itself waits for ever for a request that has begun."""

    head_s, body_s = HEAD_S, BODY_S

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._awaited = ""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._await("head")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # it is a WebSocket now, which pings
            self._await("")
            return
        between = self.cycle is None or self.cycle.response_complete
        self._await("head" if between else "body" if self.cycle.more_body else "")

    def on_response_complete(self) -> None:
        self._await("")  # uvicorn's own timer runs until the next request begins
        super().on_response_complete()

    def shutdown(self) -> None:
        """The server ends: an answer under way without an end is a stream's, which has none, and a request whose body
        is still to come would be waited for in vain. Either ends as if its client had left."""
        super().shutdown()
        if self.cycle is not None and (self.cycle.response_started or self.cycle.more_body):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await("")
        super().connection_lost(exc)

    def _await(self, part: str) -> None:
        """Start the time for this part of a request, unless it runs already; none for nothing."""
        if part == self._awaited:
            return
        self._awaited = part
        if self._timer is not None:
            self._timer.cancel()
        seconds = self.head_s if part == "head" else self.body_s
        self._timer = self.loop.call_later(seconds, self.transport.close) if part else None
