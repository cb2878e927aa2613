"""The wire formats as admission needs them: parse, read, name what an event speaks about; and what gateways send."""

from __future__ import annotations

from typing import Any

from coldchain.decoders import epcis, formats
from coldchain.decoders.content import Content
from coldchain.decoders.errors import DecodeError, DocumentError
from coldchain.decoders.jws import parse_header
from coldchain.decoders.jws_parts import Header
from coldchain.decoders.readers import Claims, Readers, Reading
from coldchain.domain.uplinks import Uplink
from coldchain.services.admit import Unattributable


class SignedWire:
    """Compact JWS of SenML or EPCIS (telemetry §2.1), and the unsigned formats of gateways."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def parse(self, payload: bytes) -> Header:
        try:
            return parse_header(payload)
        except DecodeError as error:
            raise Unattributable("malformed-jws", str(error)) from error

    def begin(self, claims: Claims) -> Reading:
        return self._readers.begin(claims)

    def finish(self, reading: Reading) -> list[Content | Unattributable | None]:
        return [
            Unattributable("malformed-jws", found) if isinstance(found, str) else found
            for found in self._readers.finish(reading)
        ]

    def subjects(self, content: Content, by: str) -> tuple[tuple[str, ...], dict[str, Any] | None]:
        """What an invalid event is about is not asked: it is recorded under its device alone, and moves nothing."""
        try:
            events, quality = epcis.decode_marked(content.document, by)
        except DocumentError as error:
            return (), epcis.invalid(error)
        return tuple(sorted({name for event in events for name in event.names})), quality

    def plain(self, payload: bytes, name: str, content_type: str, topic: str) -> tuple[str, Uplink]:
        try:
            chosen = formats.choose(name, content_type, topic)
            media_type, uplink = chosen.uplink(payload, topic)
        except DecodeError as error:
            raise Unattributable("malformed-payload", str(error)) from error
        if not uplink.placed:
            raise Unattributable("no-time", f"{chosen.name}: neither an id of its own nor an absolute time")
        return media_type, uplink
