"""Compact JWS of devices: what another implementation signs is read; what is spelled otherwise is refused by name."""

from __future__ import annotations

import json
import warnings
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey
from joserfc.registry import HeaderParameter

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jws import Envelope, load_public_key, parse_envelope, verify

PREV = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
HEADER = {"alg": "EdDSA", "kid": "TRUCK-1#2", "typ": "senml+json", "boot": 3, "seq": 0, "prev": PREV}
REGISTRY = jws.JWSRegistry(
    algorithms=["EdDSA", "ES256"],
    header_registry={
        name: HeaderParameter(name, kind) for name, kind in (("boot", "int"), ("seq", "int"), ("prev", "str"))
    },
)
KEYS = {
    "EdDSA": OKPKey.import_key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))),
    "ES256": ECKey.import_key(ec.derive_private_key(7, ec.SECP256R1())),
}


def signed(alg: str = "EdDSA", body: bytes = b"[]", **header: Any) -> bytes:
    """A message signed by joserfc, which warns that RFC 9864 gave EdDSA a narrower name."""
    stated = {key: value for key, value in {**HEADER, "alg": alg, **header}.items() if value is not None}
    with warnings.catch_warnings(action="ignore", category=SecurityWarning):
        return jws.serialize_compact(stated, body, KEYS[alg], registry=REGISTRY).encode()


def public(alg: str) -> Any:
    spki = KEYS[alg].public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return load_public_key(alg, spki)


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_a_message_signed_by_another_implementation_is_read_and_verifies(alg: str) -> None:
    envelope = parse_envelope(signed(alg, b'[{"n":"temp/air","v":-18}]'))
    assert (envelope.kid, envelope.device, envelope.alg, envelope.typ) == ("TRUCK-1#2", "TRUCK-1", alg, "senml+json")
    assert (envelope.boot, envelope.seq, len(envelope.prev)) == (3, 0, 32)
    assert envelope.body == b'[{"n":"temp/air","v":-18}]'
    assert verify(envelope, public(alg))


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_no_other_key_and_no_key_of_the_other_kind_verifies(alg: str) -> None:
    envelope = parse_envelope(signed(alg))
    other = ec.derive_private_key(9, ec.SECP256R1()) if alg == "ES256" else ed25519.Ed25519PrivateKey.generate()
    assert not verify(envelope, other.public_key())
    assert not verify(envelope, public("ES256" if alg == "EdDSA" else "EdDSA"))


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(32) + b"\x01" * 32])
def test_absurd_ecdsa_numbers_do_not_verify(signature: bytes) -> None:
    envelope = parse_envelope(signed("ES256"))
    forged = Envelope(
        **{name: getattr(envelope, name) for name in Envelope.__struct_fields__} | {"signature": signature}
    )
    assert not verify(forged, public("ES256"))


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
@given(data=st.data())
def test_no_message_can_be_respelled(alg: str, data: st.DataObject) -> None:
    """One changed, added or dropped character is refused or does not verify."""
    message = bytearray(signed(alg))
    at = data.draw(st.integers(0, len(message) - 1))
    edit = data.draw(st.sampled_from(["change", "insert", "drop"]))
    other = data.draw(st.integers(0, 127).filter(lambda c: edit != "change" or c != message[at]))
    message[at : at + (edit != "insert")] = b"" if edit == "drop" else bytes([other])
    try:
        envelope = parse_envelope(bytes(message))
    except DecodeError:
        return
    assert not verify(envelope, public(alg))


def test_the_very_first_message_names_no_predecessor() -> None:
    assert parse_envelope(signed(prev="")).prev == b""


def raw(header: str) -> bytes:
    return b".".join((urlsafe_b64encode(header.encode()).rstrip(b"="), b"W10", b"A" * 86))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"", "expected three parts, found 1"),
        (b"a.b", "expected three parts, found 2"),
        (b"a.b.c.d", "expected three parts, found 4"),
        (raw("not json"), "JWS header: JSON is malformed"),
        (raw("[]"), "JWS header: Expected `object`, got `array`"),
        (raw(json.dumps({**HEADER, "alg": "none"})), "Invalid enum value 'none' - at `$.alg`"),
        (raw(json.dumps({**HEADER, "crit": ["b64"]})), "unknown field `crit`"),
        (raw(json.dumps({**HEADER, "seq": -1})), "Expected `int` >= 0 - at `$.seq`"),
        (raw(json.dumps({**HEADER, "boot": 0})), "Expected `int` >= 1 - at `$.boot`"),
        (raw(json.dumps({**HEADER, "seq": True})), "Expected `int`, got `bool` - at `$.seq`"),
        (raw(json.dumps(HEADER)[:-1] + ', "seq": 7}'), "expected each field once"),
        (raw(json.dumps({**HEADER, "kid": "TRUCK-1"})), "expected <device>#<n>, found 'TRUCK-1'"),
        (raw(json.dumps({**HEADER, "kid": "a/b#1"})), "expected <device>#<n>, found 'a/b#1'"),
        (raw(json.dumps({**HEADER, "kid": "a#01"})), "expected <device>#<n>, found 'a#01'"),
        (raw(json.dumps({**HEADER, "prev": "AAAA"})), "expected 32 bytes or none, found 3"),
        (raw(json.dumps(HEADER))[:-1], "JWS signature: base64url of 85 characters does not end on a byte"),
        (raw(json.dumps(HEADER)) + b"AA", "JWS signature: expected 64 bytes, found 66"),
        (raw(json.dumps(HEADER)).replace(b".W10.", b".W+0."), "JWS payload: not base64url"),
        (raw(json.dumps(HEADER)).replace(b".W10.", b".W10=."), "JWS payload: not base64url"),
        (signed(seq=None), "Object missing required field `seq`"),
    ],
)
def test_what_is_no_message_is_refused_with_what_was_expected(message: bytes, told: str) -> None:
    with pytest.raises(DecodeError) as refused:
        parse_envelope(message)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("alg", "spki"),
    [
        ("EdDSA", b"no key"),
        (
            "ES256",
            ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
            .public_key()
            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        ),
        (
            "ES256",
            ec.generate_private_key(ec.SECP384R1())
            .public_key()
            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        ),
    ],
)
def test_a_key_that_cannot_verify_the_algorithm_is_refused(alg: str, spki: bytes) -> None:
    with pytest.raises(DecodeError, match="public key: expected"):
        load_public_key(alg, spki)
