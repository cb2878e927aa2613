"""Compact JWS of devices: what another implementation signs is read; what is spelled otherwise is refused by name."""

from __future__ import annotations

import json
import warnings
from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey
from joserfc.registry import HeaderParameter

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jws import load_public_key, parse_envelope, verify
from coldchain.decoders.jws_parts import Envelope

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
    return loaded(alg, KEYS[alg].public_key)


def loaded(alg: str, key: Any) -> Any:
    return load_public_key(alg, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


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
    assert not verify(envelope, loaded(alg, other.public_key()))
    assert not verify(envelope, public("ES256" if alg == "EdDSA" else "EdDSA"))


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(32) + b"\x01" * 32])
def test_absurd_ecdsa_numbers_do_not_verify(signature: bytes) -> None:
    envelope = parse_envelope(signed("ES256"))
    forged = Envelope(
        **{name: getattr(envelope, name) for name in Envelope.__struct_fields__} | {"signature": signature}
    )
    assert not verify(forged, public("ES256"))


ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    b"\xec" + b"\xff" * 30 + b"\x7f",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]
"""Points of Ed25519 whose order divides 8, as encoded in RFC 8032."""


def tampered(signature: bytes, how: str) -> bytes:
    r, s = signature[:32], signature[32:]
    return {
        "as it is": signature,
        "one bit of R": bytes([r[0] ^ 1]) + r[1:] + s,
        "one bit of S": r + s[:-1] + bytes([s[-1] ^ 1]),
        "S plus the order": r + (int.from_bytes(s, "little") + ORDER).to_bytes(32, "little"),
        "R of small order": SMALL_ORDER[0] + s,
    }[how]


@pytest.mark.parametrize("how", ["as it is", "one bit of R", "one bit of S", "S plus the order", "R of small order"])
@given(seed=st.binary(min_size=32, max_size=32), body=st.binary(max_size=80))
def test_what_verifies_here_verifies_with_openssl_as_well_and_the_reverse(how: str, seed: bytes, body: bytes) -> None:
    """An inspector's verifier uses OpenSSL: neither side may hold a signature genuine alone."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    envelope = parse_envelope(signed())
    signature = tampered(key.sign(body), how)
    asked = msgspec.structs.replace(envelope, signing_input=body, signature=signature)
    try:
        key.public_key().verify(signature, body)
        openssl = True
    except InvalidSignature:
        openssl = False
    assert verify(asked, loaded("EdDSA", key.public_key())) is openssl is (how == "as it is")


@pytest.mark.parametrize("point", SMALL_ORDER, ids=bytes.hex)
def test_a_key_of_small_order_verifies_nothing(point: bytes) -> None:
    """With such a key one signature holds for many messages, and OpenSSL takes it."""
    envelope = parse_envelope(signed())
    identity = SMALL_ORDER[1]
    key = loaded("EdDSA", ed25519.Ed25519PublicKey.from_public_bytes(point))
    for number in range(8):
        for r in (identity, *SMALL_ORDER):
            asked = msgspec.structs.replace(envelope, signing_input=bytes([number]), signature=r + bytes(32))
            assert not verify(asked, key)


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
