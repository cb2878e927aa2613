"""Device keys, and the signed chain of a device: boot, sequence, hash of the message before (design §6)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from coldchain_devices.errors import ChainMoved, DeviceError, KeyFileError, MessageTooLarge

if TYPE_CHECKING:
    from coldchain_devices.outbox import Outbox

MAX_MESSAGE = 48 * 1024  # telemetry §2: publishers refuse more, brokers disconnect far beyond
LEAVES = {"senml+json": "up", "epcis+json": "evt"}
"""Last topic level by `typ` (telemetry §1)."""

Alg = Literal["EdDSA", "ES256"]

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64url(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class DeviceKey:
    """A private key a device signs with: Ed25519 (`EdDSA`) or P-256 (`ES256`)."""

    def __init__(self, private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls, alg: Alg = "EdDSA") -> DeviceKey:
        return cls(ed25519.Ed25519PrivateKey.generate() if alg == "EdDSA" else ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def derive(cls, seed: bytes, alg: Alg = "EdDSA") -> DeviceKey:
        """The same key for the same seed. For simulations only: who knows the seed can sign."""
        digest = hashlib.sha512(b"coldchain device key\0" + seed).digest()
        if alg == "EdDSA":
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(digest[:32]))
        scalar = int.from_bytes(digest, "big") % (P256_ORDER - 1) + 1
        return cls(ec.derive_private_key(scalar, ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path) -> DeviceKey:
        """The key in a PKCS#8 PEM file. Raises KeyFileError."""
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise KeyFileError(f"no usable private key in {path}: {error}") from error
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return cls(private)
        if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
            return cls(private)
        raise KeyFileError(f"{path} holds a {type(private).__name__}: Ed25519 or P-256 is needed")

    @classmethod
    def load_or_create(cls, path: Path, alg: Alg = "EdDSA") -> DeviceKey:
        """The key in the file; a fresh one is saved there first if the file is missing."""
        if not path.exists():
            cls.generate(alg).save(path)
        return cls.load(path)

    def save(self, path: Path) -> None:
        """Write PKCS#8 PEM, mode 0600. Raises KeyFileError where the file exists: a key is never overwritten."""
        pem = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise KeyFileError(f"cannot write a new key to {path}: {error}") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)

    @property
    def alg(self) -> Alg:
        return "EdDSA" if isinstance(self._private, ed25519.Ed25519PrivateKey) else "ES256"

    def public_spki(self) -> bytes:
        """The public key as SubjectPublicKeyInfo DER, as an enrolment states it in base64."""
        return self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, data: bytes) -> bytes:
        """64 bytes: Ed25519, or ES256 as raw r || s (RFC 7518 §3.4). The same data gives the same bytes."""
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(data)
        r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Signed:
    """One signed message; `jws` is what travels and what is kept, byte for byte."""

    boot: int
    seq: int
    typ: str
    jws: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a device's chain stands: the next (boot, seq) and the SHA-256 of the JWS before, empty before the first."""

    boot: int
    seq: int
    prev: bytes


def seal(key: DeviceKey, kid: str, chain: Chain, body: bytes, typ: str) -> tuple[Signed, Chain]:
    """Sign one message at this place of the chain; also the place after it. Raises MessageTooLarge, DeviceError."""
    if typ not in LEAVES:
        raise DeviceError(f"unknown message type {typ!r}: one of {', '.join(LEAVES)}")
    header = {
        "alg": key.alg,
        "kid": kid,
        "typ": typ,
        "boot": chain.boot,
        "seq": chain.seq,
        "prev": b64url(chain.prev),
    }
    signed_part = f"{b64url(json.dumps(header, separators=(',', ':')).encode())}.{b64url(body)}".encode()
    jws = signed_part + b"." + b64url(key.sign(signed_part)).encode()
    if len(jws) > MAX_MESSAGE:
        raise MessageTooLarge(f"message of {len(jws)} bytes, {MAX_MESSAGE} is the most: send smaller batches")
    return Signed(chain.boot, chain.seq, typ, jws), Chain(chain.boot, chain.seq + 1, hashlib.sha256(jws).digest())


class Signer:
    """Signs a device's messages and stores them in its outbox before anyone sees them.

    Constructing one is a start of the device: the boot number has grown by one, durably, and seq counts from 0.
    """

    def __init__(self, outbox: Outbox, device: str, kid: str, key: DeviceKey) -> None:
        self._outbox, self._device, self._kid, self._key = outbox, device, kid, key
        self.boot = outbox.begin_boot(device).boot

    def sign(self, body: bytes, typ: str = "senml+json") -> Signed:
        """As `sign_many` of one."""
        return self.sign_many([(body, typ)])[0]

    def sign_many(self, messages: Sequence[tuple[bytes, str]]) -> list[Signed]:
        """Sign (body, typ) pairs in order; one transaction keeps their bytes and the chain's new place, or neither.

        A crash before the commit leaves the old place and no bytes: nothing with these numbers ever left the process.
        A crash after it leaves the bytes, which are sent as they are. So a (boot, seq) is never signed twice.
        Raises ChainMoved where another process started this device meanwhile.
        """
        before = self._outbox.chain(self._device)
        if before is None or before.boot != self.boot:
            now = before.boot if before else None
            raise ChainMoved(f"device {self._device} is at boot {now}, this signer at {self.boot}: start it once")
        chain, signed = before, []
        for body, typ in messages:
            message, chain = seal(self._key, self._kid, chain, body, typ)
            signed.append(message)
        self._outbox.put(self._device, before, chain, signed)
        return signed
