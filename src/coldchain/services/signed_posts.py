"""Messages posted to somebody else's server: how they are signed, and what comes of them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

SECOND_US = 1_000_000
Post = Callable[[str, bytes, Mapping[str, str]], None]
"""(destination, body, headers). Raises NotDelivered."""


class NotDelivered(Exception):
    """The receiver did not say that it took the message; the text says what happened instead."""


def server_of(dest: str) -> str:
    """Who is told at a web address: name and port."""
    return urlsplit(dest).netloc


def signature_header(secret: str, body: bytes, now_us: int) -> str:
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 with the receiver's own secret over `<seconds>.` and the body, so that an old
    message cannot be sent again as a new one."""
    return f"t={now_us // SECOND_US},v1={signature(secret, body, now_us // SECOND_US)}"


def signature(secret: str, body: bytes, t_s: int) -> str:
    return hmac.new(secret.encode(), b"%d." % t_s + body, hashlib.sha256).hexdigest()
