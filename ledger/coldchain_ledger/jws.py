"""A device's signed message: compact JWS (RFC 7515) with the protected header of telemetry §2.1. Parsed strictly."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from coldchain_ledger import strictb64
from coldchain_ledger.errors import LedgerError

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

_HEADER = {"alg": str, "kid": str, "typ": str, "boot": int, "seq": int, "prev": str}
_SIGNATURE_BYTES = 64  # Ed25519, and r then s of P-256 (RFC 7518 §3.4)


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed message; its signature is not verified yet."""

    alg: str
    kid: str
    device: str
    boot: int
    seq: int
    prev: bytes
    """SHA-256 of the device's message before; empty for its very first."""
    digest: bytes
    """SHA-256 of this one, which the next names as `prev`."""
    signed: bytes
    signature: bytes


def parse_message(payload: bytes) -> Message:
    """Raises LedgerError that names the part at fault."""
    parts = payload.split(b".")
    if len(parts) != 3:
        raise LedgerError(f"a compact JWS has three parts, not {len(parts)}")
    header = _header(_base64url(parts[0], "header"))
    _base64url(parts[1], "payload")
    signature, prev = _base64url(parts[2], "signature"), _base64url(header["prev"].encode(), "prev")
    device, hash_sign, number = header["kid"].rpartition("#")
    if not (device and hash_sign and number.isdecimal()):
        raise LedgerError(f"JWS kid is not <device>#<n>: {header['kid'][:80]!r}")
    if len(signature) != _SIGNATURE_BYTES or len(prev) not in (0, 32):
        raise LedgerError(f"JWS signature has {len(signature)} bytes and prev {len(prev)}; 64, and 0 or 32, are due")
    signed = payload[: len(parts[0]) + 1 + len(parts[1])]
    digest = sha256(payload).digest()
    return Message(header["alg"], header["kid"], device, header["boot"], header["seq"], prev, digest, signed, signature)


def load_key(alg: str, spki: str) -> PublicKey:
    """The key of an enrolment: base64 of SubjectPublicKeyInfo DER. Raises LedgerError unless it is one for `alg`."""
    der = strictb64.decode(spki, "public key", LedgerError)
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise LedgerError(f"public key is not SubjectPublicKeyInfo: {exc}") from exc
    if alg == "EdDSA" and isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if alg == "ES256" and isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise LedgerError(f"a {type(key).__name__} is no key for {alg!r}")


def signature_holds(message: Message, key: PublicKey) -> bool:
    """Whether this key signed. The algorithm is the enrolled key's; what the message claims changes nothing."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(message.signature, message.signed)
        else:
            r, s = (int.from_bytes(half, "big") for half in (message.signature[:32], message.signature[32:]))
            key.verify(encode_dss_signature(r, s), message.signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _header(data: bytes) -> dict[str, Any]:
    try:
        pairs = json.loads(data.decode(), object_pairs_hook=list)
        fields = dict(pairs)
    except (ValueError, TypeError, RecursionError) as exc:
        raise LedgerError(f"JWS header is not a JSON object: {exc}") from exc
    # A list of all pairs shows a field given twice, of which readers might take either.
    if len(pairs) != len(fields) or {name: type(value) for name, value in fields.items()} != _HEADER:
        raise LedgerError(
            f"JWS header must have exactly {', '.join(_HEADER)}; it has {', '.join(map(str, fields))[:200]}"
        )
    return fields


def _base64url(text: bytes, what: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as exc:
        raise LedgerError(f"JWS {what} is not base64url") from exc
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text:
        raise LedgerError(f"JWS {what} is not the one base64url spelling of its bytes")
    return data
