"""Broker accounts: what is drawn at random, what is kept, and what each role may do.

A password is 24 random bytes. Nothing of it is kept but two hashes, so neither the database nor a broker's file gives
it away. 192 random bits cannot be searched, therefore the cheapest setting of each hash is enough: bcrypt cost 4, the
least there is (1 ms a login in nats-server), and 101 rounds of PBKDF2, Mosquitto's own default. bcrypt is the only hash
nats-server takes, hence that dependency.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import bcrypt

from coldchain.mqtt.errors import BrokerError
from coldchain.mqtt.files import replace_file
from coldchain.mqtt.topics import branch
from coldchain.services.messages import KINDS_DOWN, KINDS_UP, check_name

Role = Literal["server", "device", "gateway", "probe"]

SERVER_NAME = "coldchain"
PROBE_NAME = "coldchain-probe"
"""User names without a slash: no device or gateway can have them."""

BCRYPT_COST = 4
PBKDF2_ROUNDS = 101


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one client logs in with. The client id carries 128 random bits: who guesses it takes the session over."""

    username: str
    password: str = field(repr=False)
    client_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """What is kept of an account. org, site and device are empty for the server and the probe.

    device: publishes and listens below its own id. gateway: does so for every device of its site. server: listens to
    all, answers all. probe: may log in and nothing else.
    """

    username: str
    role: Role
    org: str
    site: str
    device: str
    nats_hash: str = field(repr=False)
    mosquitto_hash: str = field(repr=False)


AccountSource = Callable[[], Iterable[Account]]
"""Reads the accounts in force. Called while the broker's files are locked, so that of two processes that render at once
the later one has seen what the earlier one wrote."""


class Permissions(NamedTuple):
    """MQTT topic filters."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def new_account(role: Role, org: str = "", site: str = "", device: str = "") -> tuple[Account, Credentials]:
    """A fresh account and the only copy of its password. Raises TopicError for names that cannot stand in a topic."""
    credentials = Credentials(
        _username(role, org, site, device), secrets.token_urlsafe(24), f"{device or role}-{secrets.token_hex(16)}"
    )
    return account_for(credentials, role, org, site, device), credentials


def account_for(credentials: Credentials, role: Role, org: str = "", site: str = "", device: str = "") -> Account:
    """The account that lets these credentials in; the same for the same credentials, so that rendering it anew tells a
    broker of no change and cuts nobody."""
    username = _username(role, org, site, device)
    if username != credentials.username:
        raise BrokerError(f"credentials are of {credentials.username!r}, the account would be {username!r}")
    salt = hashlib.sha256(f"coldchain broker salt {credentials.password}".encode()).digest()
    password = credentials.password.encode()
    bcrypt_salt = b"$2b$%02d$" % BCRYPT_COST + _bcrypt_base64(salt[:16])
    nats_hash = bcrypt.hashpw(password, bcrypt_salt).decode()
    derived = hashlib.pbkdf2_hmac("sha512", password, salt[:12], PBKDF2_ROUNDS)
    mosquitto_hash = f"$7${PBKDF2_ROUNDS}${b64encode(salt[:12]).decode()}${b64encode(derived).decode()}"
    return Account(username, role, org, site, device, nats_hash, mosquitto_hash)


def permissions(account: Account) -> Permissions:
    """What the account may publish and subscribe to."""
    match account.role:
        case "server":
            return Permissions(branch("+", "+", "+", KINDS_DOWN), branch("+", "+", "+", KINDS_UP))
        case "device":
            place = (account.org, account.site, account.device)
        case "gateway":
            place = (account.org, account.site, "+")
        case "probe":
            return Permissions((), ())
    return Permissions(branch(*place, KINDS_UP), branch(*place, KINDS_DOWN))


def load_or_create(path: Path, role: Role) -> tuple[Account, Credentials]:
    """The account of the server or the probe; its credentials are in a file of mode 0600, drawn when it is missing."""
    try:
        credentials = Credentials(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        account, credentials = new_account(role)
        replace_file(path, json.dumps(asdict(credentials)).encode(), mode=0o600)
        return account, credentials
    except (ValueError, TypeError) as error:
        raise BrokerError(
            f"{path} does not hold broker credentials ({error}); remove it to have new ones drawn"
        ) from error
    return account_for(credentials, role), credentials


def _username(role: Role, org: str, site: str, device: str) -> str:
    if role in ("server", "probe"):
        return SERVER_NAME if role == "server" else PROBE_NAME
    return "/".join((check_name(org, "org"), check_name(site, "site"), check_name(device, "device")))


_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BCRYPT = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _bcrypt_base64(salt: bytes) -> bytes:
    """22 characters of bcrypt's own base64 for 16 bytes."""
    return b64encode(salt).rstrip(b"=").translate(bytes.maketrans(_STANDARD, _BCRYPT))
