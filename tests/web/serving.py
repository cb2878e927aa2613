"""A real server for a whole session of tests; each puts its own app behind it."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading the system's takes 20 ms a client, and nothing here is asked over TLS."""


class Served:
    app: ASGIApp
    address: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def client(self, **options: Any) -> httpx.Client:
        """Asks the app."""
        return httpx.Client(base_url=self.address, verify=NO_CERTIFICATES, timeout=60, **options)
