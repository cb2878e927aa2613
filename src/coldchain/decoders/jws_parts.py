"""The parts of a device's message, as msgspec reads and makes them (telemetry §2.1)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

_MAX_COUNTER = 2**53 - 1
"""Largest integer every JSON reader agrees on; boot and seq stand in ledger keys."""


class Protected(msgspec.Struct, forbid_unknown_fields=True):
    """The protected header. An unknown field, `crit` above all, is refused: we cannot do what it asks."""

    alg: Literal["EdDSA", "ES256"]
    kid: str
    typ: str
    boot: Annotated[int, msgspec.Meta(ge=1, le=_MAX_COUNTER)]
    seq: Annotated[int, msgspec.Meta(ge=0, le=_MAX_COUNTER)]
    prev: str


class Header(msgspec.Struct, frozen=True, gc=False):
    """What a message claims of itself, before anything is verified."""

    kid: str
    device: str
    alg: str
    typ: str
    boot: int
    seq: int


class Envelope(Header, frozen=True, gc=False):
    """A parsed message whose signature is not yet verified."""

    prev: bytes
    """SHA-256 of the device's message before, or empty."""
    signing_input: bytes
    signature: bytes
    body: bytes


protected = msgspec.json.Decoder(Protected).decode
FIELDS = len(Protected.__struct_fields__)
