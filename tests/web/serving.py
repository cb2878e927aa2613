"""A real server for a whole session of tests; each puts its own ledger, or its own app, behind it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.http import create_app
from coldchain.bootstrap.ports import app_ports
from coldchain.services.app_ports import AppPorts

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading the system's takes 20 ms a client, and nothing here is asked over TLS."""


class Served:
    app: ASGIApp
    address: str

    def __init__(self) -> None:
        self._under: list[AppPorts] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def client(self, **options: Any) -> httpx.Client:
        """Asks the app."""
        return httpx.Client(base_url=self.address, verify=NO_CERTIFICATES, timeout=60, **options)

    def stand_on(self, ports: AppPorts | Core) -> AppPorts:
        """The app answers from this ledger; what it had counted goes on. Of a core: with fresh access, which knows no
        session, no code and no failure."""
        self.app = self._app
        self._under[:] = [app_ports(ports, lambda: None, lambda: "") if isinstance(ports, Core) else ports]
        return self._under[0]

    @cached_property
    def _app(self) -> ASGIApp:
        """One for all: to make its 115 routes takes 50 ms."""
        return create_app(cast(AppPorts, Late(lambda: self._under[0])))


class Late:
    """The ports of the ledger that the app was put on last. Routes keep some of them when they are made, before there
    is any ledger: what they keep asks for itself each time it is used."""

    def __init__(self, found: Callable[[], Any]) -> None:
        """found: raises LookupError while there is nothing."""
        self._found = found

    def __getattr__(self, name: str) -> Any:
        try:
            found = self._found()
        except LookupError:
            return Late(lambda: getattr(self._found(), name))
        return getattr(found, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._found()(*args, **options)
