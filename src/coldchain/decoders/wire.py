"""The signed wire format as admission needs it: parse, verify, and the names an event speaks about."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any

from coldchain.decoders import epcis
from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jws import Envelope, PublicKey, load_public_key, parse_envelope, verify
from coldchain.services.admit import Unattributable


class SignedWire:
    """Compact JWS of SenML or EPCIS (telemetry §2.1)."""

    def parse(self, payload: bytes) -> Envelope:
        try:
            return parse_envelope(payload)
        except DecodeError as error:
            raise Unattributable("malformed-jws", str(error)) from error

    def verify(self, envelope: Envelope, public_key: Any) -> bool:
        return verify(envelope, public_key)

    def subjects(self, envelope: Envelope, by: str) -> tuple[tuple[str, ...], str]:
        """What an unreadable event is about nobody knows: it is recorded under its device alone, and moves nothing."""
        try:
            events = epcis.decode_epcis(envelope.body, by)
        except DecodeError:
            return (), "invalid-epcis"
        return tuple(sorted({name for event in events for name in event.names})), ""


def load_key(alg: str, public_key: str) -> PublicKey:
    """An enrolled key from the base64 of its SubjectPublicKeyInfo. Raises DecodeError."""
    try:
        return load_public_key(alg, b64decode(public_key, validate=True))
    except Base64Error as error:
        raise DecodeError(f"public key: expected base64 of SubjectPublicKeyInfo DER: {error}") from error
