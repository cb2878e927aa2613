"""A real server for a whole session of tests; each puts its own app behind it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class Served:
    app: ASGIApp
    address: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
