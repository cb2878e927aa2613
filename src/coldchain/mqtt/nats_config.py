"""Configuration of nats-server as our MQTT broker. Pure text; JSON is a subset of its language."""

from __future__ import annotations

import json
from collections.abc import Iterable

from coldchain.mqtt.accounts import Account, permissions
from coldchain.mqtt.errors import BrokerError
from coldchain.mqtt.topics import nats_subject

MAX_PAYLOAD = 256 * 1024
"""Telemetry §2: beyond it the broker cuts the connection."""
MAX_ACK_PENDING = 20_000
"""Unacknowledged messages per subscription. A session has 65,535 packet ids and NATS refuses a subscription that might
exceed them: three of the server's must fit."""
ACK_WAIT = "10s"
"""How long NATS waits before it repeats what was not acknowledged, also to a server that has come back."""
LOGIN_TIMEOUT_S = 10
"""10,000 devices that come back at once need 10 s of bcrypt."""
MAX_STORE = 8 * 2**30
"""Bytes of messages kept while the server cannot take them; some 6 million. Without a bound they would take the disk
that the ledger needs."""
MORE_STORE = 2**30
"""By so much the bound is raised for a server that comes back to a store that is full."""
LEAST_STORE = 2**20
"""Room for sessions on a disk without any: NATS takes a bound of 0 to mean none."""


def first_bound(stored: int, free: int) -> int:
    """Bytes that a store holding `stored` may take, with `free` left on its disk: half of those stay the ledger's."""
    return max(stored + min(max(MAX_STORE - stored, MORE_STORE), free // 2), LEAST_STORE)


def raised_bound(bound: int, free: int) -> int:
    """The next one, for a store that let nobody in at this one."""
    return bound + min(MORE_STORE, free // 2)


def main_config(
    host: str, port: int, *, accounts_file: str, store_dir: str, store_bytes: int, pid_file: str, log_file: str
) -> str:
    """port: -1 lets the kernel choose. store_bytes: bound of what is kept, messages and sessions together.

    NATS cannot do without its own client port: it listens on loopback, on a port of the kernel's choice, and no account
    may use it.
    """
    settings = {
        "server_name": "coldchain",
        "listen": "127.0.0.1:-1",
        "max_payload": MAX_PAYLOAD,
        "pid_file": pid_file,
        "log_file": log_file,
        "logfile_size_limit": 10 * 2**20,
        "logfile_max_num": 3,
        "jetstream": {"store_dir": store_dir, "max_file_store": store_bytes},
        "mqtt": {"host": host, "port": port, "max_ack_pending": MAX_ACK_PENDING, "ack_wait": ACK_WAIT},
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join([*lines, f"include {json.dumps(accounts_file)}", ""])


def accounts_config(accounts: Iterable[Account]) -> str:
    """One line for each account. Raises BrokerError for none, since NATS takes no users to mean no passwords."""
    users = [json.dumps(_user(account)) for account in sorted(accounts, key=lambda account: account.username)]
    if not users:
        raise BrokerError("no broker accounts: the broker would be open to everyone")
    return f'"authorization": {{"timeout": {LOGIN_TIMEOUT_S}, "users": [\n' + ",\n".join(users) + "\n]}\n"


def _user(account: Account) -> dict[str, object]:
    """Nothing below `$MQTT` is needed: the broker does its bookkeeping for QoS 1 in its own name. An empty list of
    subjects would mean all of them, so the probe is denied everything instead."""
    may = permissions(account)
    return {
        "user": account.username,
        "password": account.nats_hash,
        "allowed_connection_types": ["MQTT"],
        "permissions": {"publish": _subjects(may.publish), "subscribe": _subjects(may.subscribe)},
    }


def _subjects(filters: Iterable[str]) -> dict[str, list[str]]:
    subjects = [nats_subject(one) for one in filters]
    return {"allow": subjects} if subjects else {"deny": [">"]}
