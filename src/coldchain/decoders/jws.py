"""Compact JWS of a device (RFC 7515, telemetry §2.1): parsed strictly, so that one message has one spelling.

base64url without padding and with zero trailing bits only: otherwise anybody could respell a signature, and the copy
would differ in bytes from the message it repeats.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from binascii import a2b_base64

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jws_parts import FIELDS, Envelope, Header, Protected, protected

PublicKey = VerifyKey | EllipticCurvePublicKey
"""Ed25519 by libsodium: half the time of OpenSSL's, and it takes no key of small order, whose signatures hold for many
messages. What it verifies any other implementation verifies (docs/decisions/0015-ed25519-by-libsodium.md)."""

_KID = re.compile(r"([A-Za-z0-9_-]{1,64})#([1-9][0-9]{0,8})")
_DOTS = 2
_SIGNATURE_BYTES = 64
"""Ed25519, and raw r || s of P-256 (RFC 7518 §3.4)."""
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
_ZERO_BITS_END = {1: frozenset(b""), 2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}
"""By length modulo 4: last characters whose unused bits are zero. A length of 1 modulo 4 encodes nothing."""


def parse_header(payload: bytes) -> Header:
    """The protected header of a compact JWS. Raises DecodeError as `parse_envelope` does, for as far as it looks."""
    header, device = _protected(payload)
    return Header(header.kid, device, header.alg, header.typ, header.boot, header.seq)


def parse_envelope(payload: bytes) -> Envelope:
    """The parts of a compact JWS. Raises DecodeError naming the part at fault; verifies nothing."""
    header, device = _protected(payload)
    signing_input, _, signature_text = payload.rpartition(b".")
    signature = _base64url(signature_text, "signature")
    if len(signature) != _SIGNATURE_BYTES:
        raise DecodeError(f"JWS signature: expected {_SIGNATURE_BYTES} bytes, found {len(signature)}")
    prev = _base64url(header.prev.encode(), "header prev")
    if prev and len(prev) != 32:
        raise DecodeError(f"JWS header prev: expected 32 bytes or none, found {len(prev)}")
    return Envelope(
        kid=header.kid,
        device=device,
        alg=header.alg,
        typ=header.typ,
        boot=header.boot,
        seq=header.seq,
        prev=prev,
        signing_input=signing_input,
        signature=signature,
        body=_base64url(signing_input.partition(b".")[2], "payload"),
    )


def _protected(payload: bytes) -> tuple[Protected, str]:
    """The header, and the device that its key is of."""
    if payload.count(b".") != _DOTS:
        raise DecodeError(f"compact JWS: expected three parts, found {payload.count(b'.') + 1}")
    header_json = _base64url(payload[: payload.index(b".")], "header")
    try:
        header = protected(header_json)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"JWS header: {error}") from error
    except UnicodeDecodeError as error:
        raise DecodeError(f"JWS header: not UTF-8 at byte {error.start}") from error
    # All six are there and no other: a further comma means that one is given twice, and readers might take either.
    if header_json.count(b",") != FIELDS - 1:
        raise DecodeError("JWS header: expected each field once, and no comma in any")
    kid = _KID.fullmatch(header.kid)
    if kid is None:
        raise DecodeError(f"JWS header kid: expected <device>#<n>, found {header.kid!r}")
    return header, kid[1]


def verify(envelope: Envelope, public_key: PublicKey) -> bool:
    """Whether the signature holds under this key. The caller checks `alg` against the registry first; a key of the
    other kind verifies nothing."""
    try:
        if envelope.alg == "EdDSA" and isinstance(public_key, VerifyKey):
            public_key.verify(envelope.signing_input, envelope.signature)
            return True
        if envelope.alg == "ES256" and isinstance(public_key, EllipticCurvePublicKey):
            r, s = (int.from_bytes(half) for half in (envelope.signature[:32], envelope.signature[32:]))
            public_key.verify(encode_dss_signature(r, s), envelope.signing_input, ECDSA(SHA256()))
            return True
    except (InvalidSignature, BadSignatureError):
        return False
    return False


def load_public_key(alg: str, spki: bytes) -> PublicKey:
    """An enrolled key from SubjectPublicKeyInfo DER. Raises DecodeError where it is not a key for `alg`."""
    try:
        key = load_der_public_key(spki)
    except ValueError as error:
        raise DecodeError(f"public key: expected SubjectPublicKeyInfo DER: {error}") from error
    if alg == "EdDSA" and isinstance(key, Ed25519PublicKey):
        return VerifyKey(key.public_bytes_raw())
    if alg == "ES256" and isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise DecodeError(f"public key: expected one for {alg}, found {type(key).__name__}")


def load_key(alg: str, public_key: str) -> PublicKey:
    """An enrolled key from the base64 of its SubjectPublicKeyInfo. Raises DecodeError."""
    try:
        return load_public_key(alg, b64decode(public_key, validate=True))
    except Base64Error as error:
        raise DecodeError(f"public key: expected base64 of SubjectPublicKeyInfo DER: {error}") from error


def _base64url(text: bytes, part: str) -> bytes:
    standard = text.translate(_TO_STANDARD)
    rest = len(text) & 3
    if rest:
        if text[-1] not in _ZERO_BITS_END[rest]:
            raise DecodeError(f"JWS {part}: base64url of {len(text)} characters does not end on a byte")
        standard += b"==" if rest == 2 else b"="
    try:
        return a2b_base64(standard, strict_mode=True)
    except Base64Error as error:
        raise DecodeError(f"JWS {part}: not base64url: {error}") from error
