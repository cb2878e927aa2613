"""What a signed message says, by its type."""

from __future__ import annotations

from typing import NamedTuple

from coldchain.decoders.jws import Envelope, PublicKey, verify
from coldchain.decoders.senml import decode_senml
from coldchain.domain.blocks import Block, block_of
from coldchain.domain.telemetry import Telemetry


class Content(NamedTuple):
    """What a message says, its signature being genuine."""

    envelope: Envelope
    telemetry: Telemetry | None = None
    """None for other types than SenML."""
    block: Block | None = None
    """Its samples packed."""


def read(envelope: Envelope, public_key: PublicKey) -> Content | None:
    """None where the signature does not hold under the key."""
    return decode(envelope) if verify(envelope, public_key) else None


def decode(envelope: Envelope) -> Content:
    """Of a message whose signature holds, or held when it was recorded."""
    if envelope.typ != "senml+json":
        return Content(envelope)
    telemetry = decode_senml(envelope.body, envelope.device, envelope.boot, envelope.seq)
    return Content(envelope, telemetry, block_of(telemetry.runs))
