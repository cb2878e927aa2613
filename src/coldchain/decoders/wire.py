"""The signed wire format as admission needs it: parse, read, and the names an event speaks about."""

from __future__ import annotations

from coldchain.decoders import epcis
from coldchain.decoders.content import Content
from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jws import Envelope, parse_envelope
from coldchain.decoders.readers import Claims, Readers, Reading
from coldchain.services.admit import Unattributable


class SignedWire:
    """Compact JWS of SenML or EPCIS (telemetry §2.1)."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def parse(self, payload: bytes) -> Envelope:
        try:
            return parse_envelope(payload)
        except DecodeError as error:
            raise Unattributable("malformed-jws", str(error)) from error

    def begin(self, claims: Claims) -> Reading:
        return self._readers.begin(claims)

    def finish(self, reading: Reading) -> list[Content | None]:
        return self._readers.finish(reading)

    def subjects(self, envelope: Envelope, by: str) -> tuple[tuple[str, ...], str]:
        """What an unreadable event is about nobody knows: it is recorded under its device alone, and moves nothing."""
        try:
            events = epcis.decode_epcis(envelope.body, by)
        except DecodeError:
            return (), "invalid-epcis"
        return tuple(sorted({name for event in events for name in event.names})), ""
