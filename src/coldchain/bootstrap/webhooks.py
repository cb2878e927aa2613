"""Telling subscribers over HTTP, and nobody else: a subscription must not reach into the network the server stands in.

The address is looked up once, judged, and connected to as judged, so that a name that changes its mind in between
changes nothing. Redirections are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from coldchain.services.epcis_subscriptions import SubscriptionRefused
from coldchain.services.signed_posts import NotDelivered

TIMEOUT_S = 10.0
"""For each step of a conversation."""
DEADLINE_S = 30.0
"""For all of it."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA = ipaddress.ip_address("fd00:ec2::254")
"""Of a cloud provider, in the midst of private addresses; the others are link-local or in ranges never told."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 behind NAT64: which IPv4 it is does not show in how the address is classed."""


class _Target(NamedTuple):
    secure: bool
    host: str
    port: int
    path: str


class Webhooks:
    """private: whether private addresses and this machine itself may be told; link-local ones never are."""

    def __init__(self, *, private: bool) -> None:
        self._private = private

    def check(self, dest: str) -> None:
        """Raises SubscriptionRefused unless it is an http or https address that may be told."""
        try:
            self._addresses(_target(dest))
        except NotDelivered as error:
            raise SubscriptionRefused(f"dest: {error}") from error

    def post(self, dest: str, body: bytes, headers: Mapping[str, str]) -> None:
        """The receiver said 2xx. Raises NotDelivered."""
        try:
            target = _target(dest)
            address = self._addresses(target)[0]
        except SubscriptionRefused as error:
            raise NotDelivered(str(error)) from error
        connection = _Secure(target, address) if target.secure else _Plain(target, address)
        patience = threading.Timer(DEADLINE_S, _hang_up, (connection,))
        patience.daemon = True  # the end of the program does not wait for it
        patience.start()
        try:
            connection.request("POST", target.path, body, dict(headers))
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            raise NotDelivered(f"{target.host}: {type(error).__name__}: {error}") from error
        finally:
            patience.cancel()
            connection.close()
        if not 200 <= status < 300:
            raise NotDelivered(f"{target.host} answered {status}")

    def _addresses(self, target: _Target) -> list[str]:
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotDelivered(f"{target.host!r} cannot be looked up: {error}") from error
        addresses = [str(sockaddr[0]) for *_, sockaddr in found]
        for address in addresses:
            self._judge(target.host, address)
        return addresses

    def _judge(self, host: str, text: str) -> None:
        address = _plain(ipaddress.ip_address(text.partition("%")[0]))
        never = address.is_link_local or address.is_multicast or address.is_unspecified
        never = never or address in _TRANSLATED or address == _METADATA
        never = never or (address.is_reserved and not address.is_loopback)
        inside = not address.is_global
        if never or (inside and not (self._private and (address.is_private or address.is_loopback))):
            raise SubscriptionRefused(
                f"dest: {host} is {text}, expected an address outside of this server's own network"
                " (setting webhooks_private)"
            )


def _plain(address: _Address) -> _Address:
    """The IPv4 address within an IPv6 one, where that is all it says."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
    return address


def _target(dest: str) -> _Target:
    """Raises SubscriptionRefused."""
    try:
        url = urlsplit(dest)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise SubscriptionRefused(f"dest: {dest!r} is no address: {error}") from error
    if url.scheme not in ("http", "https") or not host or not dest.isascii() or not dest.isprintable() or " " in dest:
        raise SubscriptionRefused(f"dest: expected an http or https address, found {dest!r}")
    if url.username is not None or url.fragment:
        raise SubscriptionRefused("dest: expected an address without user name and fragment")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return _Target(url.scheme == "https", host, port or (443 if url.scheme == "https" else 80), path)


class _Plain(HTTPConnection):
    """Connects to the address that was judged, under the name that was given."""

    def __init__(self, target: _Target, address: str) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT_S)
        self.address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)


class _Secure(HTTPSConnection):
    """The same with TLS for that name."""

    def __init__(self, target: _Target, address: str) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(target.host, target.port, timeout=TIMEOUT_S, context=self._tls)
        self.address = address

    def connect(self) -> None:
        plain = socket.create_connection((self.address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def _hang_up(connection: HTTPConnection) -> None:
    """Wakes the thread that waits for a receiver who answers byte by byte."""
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
