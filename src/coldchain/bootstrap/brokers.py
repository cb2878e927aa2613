"""Which broker a data directory uses, and how its accounts get there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Engine

from coldchain.bootstrap.locks import is_locked
from coldchain.bootstrap.secrets import SetupError
from coldchain.db.accounts import active_accounts
from coldchain.mqtt import embedded, mosquitto
from coldchain.mqtt.accounts import SERVER_NAME, Account, Credentials, Role, account_for, load_or_create
from coldchain.settings import Settings

Address = tuple[str, int]


def parse_address(text: str, what: str) -> Address:
    """HOST:PORT. Raises SetupError naming the text."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535 or not host:
        raise SetupError(f"{what} {text!r}: expected HOST:PORT, with port 0 to 65535")
    return host.strip("[]"), int(port)


class Brokers:
    """The broker of one data directory: embedded below D/broker, or the one that `mqtt://…` names."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._directory = settings.dir.resolve() / "broker"

    @property
    def external(self) -> bool:
        return self._settings.mqtt.startswith(("mqtt://", "mqtts://"))

    @contextmanager
    def running(self) -> Iterator[tuple[Address, Credentials]]:
        """Where the server connects and as whom; an embedded broker runs meanwhile."""
        if self.external:
            self.apply()
            yield self._external_address(), self._server_credentials()
            return
        host, port = parse_address(self._settings.mqtt, "--mqtt")
        with embedded.EmbeddedBroker(self._directory, self.accounts, host, port) as broker:
            yield broker.address, self._server_credentials()

    def apply(self) -> bool:
        """Give the broker the accounts in force; any process may. False when no broker could be told now."""
        settings = self._settings
        if not self.external:
            return (self._directory / "nats-server.conf").exists() and embedded.apply_accounts(
                self._directory, self.accounts
            )
        if settings.mosquitto_password_file is None:
            return False
        password_file = settings.mosquitto_password_file
        return mosquitto.apply_accounts(
            password_file, password_file.with_name("acl"), settings.mosquitto_pid_file, self.accounts
        )

    def accounts(self) -> list[Account]:
        """The server's, the probe's and every device's that is in force."""
        server = self._server_credentials()
        if server.username != SERVER_NAME:
            raise SetupError(
                f"COLDCHAIN_MQTT_USERNAME is {server.username!r}, but where coldchain writes the broker's accounts "
                f"its own is {SERVER_NAME!r}; leave user name and password empty and they are drawn"
            )
        own = [account_for(server, "server"), self._own("probe")[0]]
        return own + [
            Account(one.username, _role(one.role), one.org, one.site, one.device, one.nats_hash, one.mosquitto_hash)
            for one in active_accounts(self._engine)
        ]

    def address(self) -> Address | None:
        """Where devices connect now, or None when nothing is known to run."""
        if self.external:
            return self._external_address()
        note = running_server(self._settings.dir)
        return parse_address(urlsplit(note["mqtt"]).netloc, "mqtt") if note and "mqtt" in note else None

    def _external_address(self) -> Address:
        parts = urlsplit(self._settings.mqtt)
        if parts.scheme != "mqtt" or not parts.hostname or parts.username:
            raise SetupError(
                f"--mqtt {self._settings.mqtt!r}: expected mqtt://HOST[:PORT]; the account goes into "
                "COLDCHAIN_MQTT_USERNAME and COLDCHAIN_MQTT_PASSWORD"
            )
        return parts.hostname, parts.port or 1883

    def _server_credentials(self) -> Credentials:
        settings = self._settings
        if self.external and settings.mqtt_username:
            client_id = settings.mqtt_client_id or settings.mqtt_username
            return Credentials(settings.mqtt_username, settings.mqtt_password, client_id)
        credentials = self._own("server")[1]
        assert credentials.username == SERVER_NAME
        return credentials

    def _own(self, role: Role) -> tuple[Account, Credentials]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return load_or_create(self._directory / f"{role}.json", role)


def _role(stored: str) -> Role:
    assert stored in ("device", "gateway"), f"no account of role {stored!r} is kept in the database"
    return "device" if stored == "device" else "gateway"


def running_server(directory: Path) -> dict[str, str] | None:
    """What the server running on this directory said of itself: `http` address, `mqtt` but for a demo's page; None when
    none runs."""
    path = directory / "server.json"
    if not path.exists() or not is_locked(directory / "server.lock"):
        return None  # a killed server leaves its note behind, never its lock
    note: dict[str, str] = json.loads(path.read_text())
    return note
