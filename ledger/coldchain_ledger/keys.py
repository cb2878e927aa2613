"""Keys of signed notes (ledger §3.2, §6.1): verifier keys as text, signers, and what each type signs.

Three types: plain Ed25519 (0x01) by which a log signs, and the cosignatures of c2sp.org/tlog-cosignature, Ed25519
(0x04) and ML-DSA-44 (0x06), which carry a time and are made over a message derived from the note text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from coldchain_ledger import strictb64
from coldchain_ledger.errors import NoteError
from coldchain_ledger.treehead import parse_checkpoint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import mldsa

ED25519 = 0x01
COSIGNATURE_ED25519 = 0x04
COSIGNATURE_MLDSA44 = 0x06

MAX_NAME_BYTES = 255  # an ML-DSA cosignature carries the name behind one length byte
MAX_VKEY_CHARS = 2_100  # an ML-DSA-44 key is 1,752 base64 characters, behind a name and its id
KEY_ID_BYTES = 4

_PUBLIC_KEY_BYTES = {ED25519: 32, COSIGNATURE_ED25519: 32, COSIGNATURE_MLDSA44: 1312}
_NOT_IN_NAMES = re.compile(r"[\s+\x00-\x1f\ud800-\udfff]")
_TIME_BYTES = 8
_MAX_TIME_S = 2**63 - 1  # tlog-cosignature: "MUST NOT exceed 2^63 - 1"


class Signer(Protocol):
    """Someone who signs note texts."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def vkey(self) -> str:
        """The verifier key that checks what this signs."""
        ...

    def sign(self, msg: bytes) -> bytes:
        """Signature of the note text, as it stands behind the key id in the signature line."""
        ...


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key of one signature type under a name."""

    name: str
    algorithm: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """First 4 bytes of SHA-256(name, LF, type, public key)."""
        material = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public_key
        return sha256(material).digest()[:KEY_ID_BYTES]

    def vkey(self) -> str:
        """The key as text: `name+hex(key id)+base64(type, public key)`."""
        key = strictb64.encode(bytes([self.algorithm]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    def verify(self, msg: bytes, sig: bytes) -> bool:
        """Whether `sig` (without the key id) is this key's signature of the note text `msg`."""
        time_s = self.time_s(sig)
        if time_s is not None:
            if len(sig) < _TIME_BYTES or time_s > _MAX_TIME_S:
                return False
            sig = sig[_TIME_BYTES:]
        try:
            self._key().verify(sig, _signed_message(self.algorithm, self.name, time_s or 0, msg))
        except (InvalidSignature, NoteError):  # NoteError: ML-DSA signs checkpoints only, and this text is none
            return False
        return True

    def time_s(self, sig: bytes) -> int | None:
        """When a cosignature says it was made, seconds since the epoch; None for a plain signature."""
        return None if self.algorithm == ED25519 else int.from_bytes(sig[:_TIME_BYTES], "big")

    def _key(self) -> ed25519.Ed25519PublicKey | mldsa.MLDSA44PublicKey:
        if self.algorithm == COSIGNATURE_MLDSA44:
            key: mldsa.MLDSA44PublicKey = _mldsa().MLDSA44PublicKey.from_public_bytes(self.public_key)
            return key
        return ed25519.Ed25519PublicKey.from_public_bytes(self.public_key)


def parse_vkey(text: str) -> Verifier:
    """The verifier key written as `name+hex(key id)+base64(type, public key)`. Raises NoteError.

    The key id must be the one the key has: a mistyped name would otherwise verify nothing, silently.
    """
    parts = text.split("+", 2) if len(text) <= MAX_VKEY_CHARS else []
    if len(parts) != 3:
        raise NoteError(f"not a verifier key (name+hex+base64): {text[:100]!r}")
    name, key_id, key = parts[0], parts[1], strictb64.decode(parts[2], "verifier key", NoteError)
    check_name(name)
    if not key or _PUBLIC_KEY_BYTES.get(key[0]) != len(key) - 1:
        raise NoteError(f"verifier key {name} is of no type known here: type {key[:1].hex()}, {len(key)} bytes")
    if key[0] == COSIGNATURE_MLDSA44:
        _mldsa()  # a key that cannot be used here is no reason to call its signatures bad later
    verifier = Verifier(name, key[0], key[1:])
    if verifier.key_id.hex() != key_id:
        raise NoteError(f"verifier key {name} says its id is {key_id[:20]!r}; it is {verifier.key_id.hex()}")
    return verifier


def check_name(name: str) -> None:
    """Raise NoteError unless `name` may name a key: not empty, UTF-8, no Unicode space, plus or control character."""
    if not name or _NOT_IN_NAMES.search(name) or len(name.encode()) > MAX_NAME_BYTES:
        raise NoteError(f"not a key name (1 to {MAX_NAME_BYTES} bytes, no space, no plus): {name[:100]!r}")


class _KeySigner:
    """A private key under a name; subclasses say of which type."""

    algorithm: int

    def __init__(self, name: str, key: Any, now_s: Callable[[], int] = lambda: int(time.time())) -> None:
        check_name(name)
        self.verifier = Verifier(name, self.algorithm, key.public_key().public_bytes_raw())
        self._key = key
        self._now_s = now_s

    @classmethod
    def from_private_pem(cls, name: str, pem: bytes) -> Self:
        """Signer with the PKCS #8 key in `pem`. Raises NoteError when it is not a private key of this type."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise NoteError(f"no private key for {name}: {exc}") from exc
        if not isinstance(key, cls._key_class()):
            raise NoteError(f"the private key for {name} is a {type(key).__name__}, not a {cls._key_class().__name__}")
        return cls(name, key)

    @classmethod
    def generate(cls, name: str) -> Self:
        """Signer with a new random key."""
        return cls(name, cls._key_class().generate())

    @classmethod
    def _key_class(cls) -> Any:
        return ed25519.Ed25519PrivateKey

    @property
    def name(self) -> str:
        return self.verifier.name

    @property
    def key_id(self) -> bytes:
        return self.verifier.key_id

    def vkey(self) -> str:
        """The verifier key that checks what this signs."""
        return self.verifier.vkey()

    def private_pem(self) -> bytes:
        """The private key, unencrypted PKCS #8 PEM: keep it as a secret."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(encoding, form, serialization.NoEncryption())  # type: ignore[no-any-return]

    def sign(self, msg: bytes) -> bytes:
        """Signature of the note text `msg`; a cosignature states the time `now_s` gives."""
        if self.algorithm == ED25519:
            return self._key.sign(msg)  # type: ignore[no-any-return]
        time_s = self._now_s()
        signature: bytes = self._key.sign(_signed_message(self.algorithm, self.name, time_s, msg))
        return time_s.to_bytes(_TIME_BYTES, "big") + signature


class Ed25519Signer(_KeySigner):
    """How a log signs its checkpoints (ledger §3.5)."""

    algorithm = ED25519


class Ed25519Cosigner(_KeySigner):
    """How a witness cosigns: "as of this time, this is the largest tree of that log I have seen" (ledger §6.1)."""

    algorithm = COSIGNATURE_ED25519


class MLDSA44Signer(_KeySigner):
    """The signature that outlives Ed25519, for logs and witnesses (ledger §3.5). Needs a `cryptography` that has it."""

    algorithm = COSIGNATURE_MLDSA44

    @classmethod
    def _key_class(cls) -> Any:
        return _mldsa().MLDSA44PrivateKey


def _signed_message(algorithm: int, name: str, time_s: int, text: bytes) -> bytes:
    """The bytes a signature of this type is made over (tlog-cosignature, "signed message"). Raises NoteError."""
    if algorithm == ED25519:
        return text
    if algorithm == COSIGNATURE_ED25519:
        return b"cosignature/v1\ntime %d\n" % time_s + text
    head = parse_checkpoint(text.decode())
    cosigner, origin = name.encode(), head.origin.encode()
    start = 0  # a checkpoint is the subtree that begins at the first leaf
    return b"".join(
        (
            b"subtree/v1\n\0",
            bytes([len(cosigner)]) + cosigner,
            time_s.to_bytes(8, "big"),
            bytes([len(origin)]) + origin,
            start.to_bytes(8, "big"),
            head.size.to_bytes(8, "big"),
            head.root,
        )
    )


def _mldsa() -> ModuleType:
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa
    except ImportError as exc:
        raise NoteError("this version of cryptography has no ML-DSA-44; install a newer one") from exc
    return mldsa
