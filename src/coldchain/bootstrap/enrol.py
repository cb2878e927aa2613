"""Enrolling a device: its key into the ledger, its account to the broker, and the proof that it can log in."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from coldchain.bootstrap.brokers import Brokers
from coldchain.bootstrap.core import Core
from coldchain.db.accounts import StoredAccount, close_account, save_account
from coldchain.db.engine import writing
from coldchain.decoders.jws import load_key, parse_envelope, verify
from coldchain.mqtt.accounts import Account, Credentials, new_account
from coldchain.mqtt.connection import probe_login
from coldchain.mqtt.files import locked
from coldchain.services.identity import CommandRefused, Enrolment, check_again, enrol, revoke
from coldchain.services.registry import Key
from coldchain.settings import parse_date_us
from coldchain_ledger.log import Draft

Alg = Literal["EdDSA", "ES256"]
PROBE_S = 10.0
"""How long a new account may take to work at the broker."""


def read_public_key(path: Path) -> tuple[Alg, str]:
    """(algorithm, base64 SPKI) of a PEM public key. Raises CommandRefused for any other key."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandRefused(f"{path}: expected a PEM public key: {error}") from error
    if isinstance(key, Ed25519PublicKey):
        alg: Alg = "EdDSA"
    elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        alg = "ES256"
    else:
        raise CommandRefused(f"{path}: expected an Ed25519 or P-256 public key, found {type(key).__name__}")
    return alg, b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def read_request(path: Path, device: str) -> tuple[Alg, str]:
    """(algorithm, base64 SPKI) of an enrolment request, which proves that who asks holds the key.

    A compact JWS as the device's messages are (telemetry §2.1), of `typ` `enrol+json` with boot 1, seq 0 and payload
    `{"device", "public_key"}`, verified under the key it carries. Raises CommandRefused.
    """
    try:
        envelope = parse_envelope(path.read_bytes().strip())
        request = json.loads(envelope.body)
        named, public_key = str(request["device"]), str(request["public_key"])
        key = load_key(envelope.alg, public_key)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandRefused(f"{path}: not an enrolment request: {error}") from error
    if {named, envelope.device} != {device}:
        raise CommandRefused(f"{path}: requests device {named!r}, the command names {device!r}")
    if envelope.typ != "enrol+json" or not verify(envelope, key):
        raise CommandRefused(f"{path}: does not prove possession of the key it names")
    return ("EdDSA" if envelope.alg == "EdDSA" else "ES256"), public_key


def enrol_device(core: Core, order: Enrolment) -> tuple[dict[str, Any], str]:
    """The device is in the ledger and has an account: how it connects, and why the broker that runs now does not let it
    in yet, which is empty once a login worked or where no broker runs. Asked again with the same key: a new password,
    and CommandRefused where it states another thing than was enrolled.

    The account comes first: a crash between the two leaves an account whose messages nobody can attribute, which the
    next enrolment of the same device replaces.
    """
    # One command at a time: of two for one device the second would be refused, but after it had replaced the account.
    with locked(core.settings.dir / "enrol.lock"):
        core.refresh_registry()
        known = core.registry.latest(order.device)
        if known is not None and _same(known, order):
            check_again(known, order, parse_date_us(core.settings.time_floor))
            kid = known.kid
        else:
            kid, draft = enrol(core.registry, core.log.origin, order)
        account, credentials = new_account("device", order.org, order.site, order.device)
        with writing(core.engine) as connection:
            save_account(connection, stored(account), core.clock())
        if known is None:
            core.record(draft)
    brokers = Brokers(core.settings, core.engine)
    brokers.apply()
    document = {
        "device": order.device,
        "kid": kid,
        "topic": f"cc/v1/{order.org}/{order.site}/{order.device}",
        "client_id": credentials.client_id,
        "username": credentials.username,
        "password": credentials.password,
    }
    return document, let_in(brokers, credentials)


def _same(known: Key, order: Enrolment) -> bool:
    """The same device asks again, having lost its password: it gets another, and the ledger nothing new."""
    stated = (known.org, known.site, known.stated["public_key"])
    return known.revoked_at is None and stated == (order.org, order.site, order.public_key)


def admit_devices(core: Core, orders: Sequence[Enrolment]) -> dict[str, Credentials]:
    """Enrol many devices at once, each with a fresh account; one whose key is enrolled already gets the account alone.

    Raises CommandRefused where an id is enrolled with another key.
    """
    core.refresh_registry()
    drafts: list[Draft] = []
    accounts: list[Account] = []
    credentials: dict[str, Credentials] = {}
    for order in orders:
        known = core.registry.latest(order.device)
        if known is None or known.stated["public_key"] != order.public_key:
            drafts.append(enrol(core.registry, core.log.origin, order)[1])
        account, credentials[order.device] = new_account("device", order.org, order.site, order.device)
        accounts.append(account)
    with writing(core.engine) as connection:
        for account in accounts:
            save_account(connection, stored(account), core.clock())
    core.log.append(drafts)
    core.refresh_registry()
    Brokers(core.settings, core.engine).apply()
    return credentials


def revoke_device(core: Core, device: str, kid: str | None) -> dict[str, Any]:
    """The keys are revoked in the ledger; without a good key left the broker account is closed and the device cut."""
    core.refresh_registry()
    drafts = revoke(core.registry, core.log.origin, device, kid)
    core.log.append(drafts)
    core.refresh_registry()
    keys = core.registry.keys_of(device)
    cut = all(key.revoked_at is not None for key in keys)
    if cut:
        with writing(core.engine) as connection:
            close_account(connection, f"{keys[0].org}/{keys[0].site}/{device}")
        Brokers(core.settings, core.engine).apply()
    return {"device": device, "revoked": [key.kid for key in keys if key.revoked_at is not None], "account_closed": cut}


def stored(account: Account) -> StoredAccount:
    """What is kept of an account."""
    return StoredAccount(
        account.username,
        account.role,
        account.org,
        account.site,
        account.device,
        account.nats_hash,
        account.mosquitto_hash,
    )


def let_in(brokers: Brokers, credentials: Credentials) -> str:
    """Why the broker that runs now does not let the device in; empty where it does, or where none runs."""
    address = brokers.address()
    deadline = time.monotonic() + PROBE_S
    while address is not None and not probe_login(address, credentials, timeout_s=2.0):
        if time.monotonic() > deadline:
            host, port = address
            return f"the broker at {host}:{port} does not let the device in yet: have it read its accounts again"
        time.sleep(0.1)
    return ""
