"""What a signed message says, by its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from coldchain.decoders.jws import PublicKey, parse_envelope, verify
from coldchain.decoders.jws_parts import Envelope
from coldchain.decoders.senml import decode_senml
from coldchain.domain.blocks import block_of
from coldchain.domain.telemetry import Block, Telemetry

EVENT_TYPE = "epcis+json"
SENML_TYPE = "senml+json"


class Said(NamedTuple):
    """A message of type SenML; nothing of another."""

    telemetry: Telemetry | None = None
    block: Block | None = None
    """Its samples packed."""


class Content(NamedTuple):
    """What a message says, its signature being genuine."""

    kid: str
    prev: bytes
    """SHA-256 of the device's message before, or empty."""
    document: bytes
    """The payload of an event; empty for other types."""
    said: Callable[[], Said]
    """Unpacked by whoever needs it, when he does: a batch's samples are many times as large as what was received."""


def read(payload: bytes, public_key: PublicKey) -> Content | None:
    """None where the signature does not hold under the key. Raises DecodeError where the message is no compact JWS."""
    envelope = parse_envelope(payload)
    return decode(envelope) if verify(envelope, public_key) else None


def decode(envelope: Envelope) -> Content:
    """Of a message whose signature holds, or held when it was recorded."""
    said = Said()
    if envelope.typ == SENML_TYPE:
        telemetry = decode_senml(envelope.body, envelope.device, envelope.boot, envelope.seq)
        said = Said(telemetry, block_of(telemetry.runs))
    document = envelope.body if envelope.typ == EVENT_TYPE else b""
    return Content(envelope.kid, envelope.prev, document, lambda: said)
