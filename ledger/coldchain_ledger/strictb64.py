"""Base64 with one spelling: every other text for the same bytes is refused, so no bit of a proof is left unread."""

from __future__ import annotations

import binascii

from coldchain_ledger.errors import LedgerError


def encode(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 §4), no line breaks."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode(text: str, what: str, error: type[LedgerError], length: int | None = None) -> bytes:
    """The bytes of `text`, `length` of them where given; raises `error`, naming `what`, for anything `encode` would not
    write."""
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError as exc:
        raise error(f"{what} is not base64: {text[:60]!r}") from exc
    if encode(data) != text:  # strict_mode lets unused bits of the last character pass
        raise error(f"{what} is not the one base64 spelling of its bytes: {text[:60]!r}")
    if length is not None and len(data) != length:
        raise error(f"{what} has {len(data)} bytes, not {length}")
    return data
