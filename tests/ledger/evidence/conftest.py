"""Devices that sign, as a log would have recorded them."""

import base64
import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from coldchain_ledger.log import Draft


class Device:
    """A device that signs; `say` gives its next message as the draft the server would record, and moves on."""

    def __init__(self, name, key):
        self.name, self.key, self.kid = name, key, f"{name}#1"
        self.boot, self.seq, self.prev = 1, 0, b""

    @property
    def alg(self):
        return "EdDSA" if isinstance(self.key, ed25519.Ed25519PrivateKey) else "ES256"

    def enrolment(self, **changed):
        der = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        body = {"v": 1, "op": "enrol", "device": self.name, "kid": self.kid, "alg": self.alg}
        return self._identity(f"enrol/{self.kid}", {**body, "public_key": base64.b64encode(der).decode(), **changed})

    def revocation(self):
        return self._identity(f"revoke/{self.kid}", {"v": 1, "op": "revoke", "device": self.name, "kid": self.kid})

    def sign(self, data):
        if self.alg == "EdDSA":
            return self.key.sign(data)
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def say(self, text="-18.4", **changed):
        header = {"alg": self.alg, "kid": self.kid, "typ": "senml+json", "boot": self.boot, "seq": self.seq}
        header = {**header, "prev": _b64url(self.prev).decode(), **changed}
        signed = _b64url(json.dumps(header).encode()) + b"." + _b64url(text.encode())
        jws = signed + b"." + _b64url(self.sign(signed))
        self.prev, self.seq = sha256(jws).digest(), self.seq + 1
        return self.filed(jws, f"tm/{self.name}/{header['boot']}/{header['seq']}")

    def restart(self):
        self.boot, self.seq = self.boot + 1, 0

    def filed(self, jws, key):
        return Draft("telemetry", "acme", "application/jose", key, "signed", (f"dev:{self.name}",), jws)

    def _identity(self, key, body):
        payload, subjects = json.dumps(body).encode(), (f"dev:{self.name}",)
        return Draft("identity", "acme", "application/json", f"identity/{key}", "declared", subjects, payload)


def _b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@pytest.fixture
def truck():
    """Device T1 with an Ed25519 key, always the same: what it signs is the same bytes in every run."""
    return Device("T1", ed25519.Ed25519PrivateKey.from_private_bytes(sha256(b"T1").digest()))


@pytest.fixture
def portal():
    """Device P1 with a P-256 key."""
    return Device("P1", ec.generate_private_key(ec.SECP256R1()))
