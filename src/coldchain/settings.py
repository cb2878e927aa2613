"""Every setting, read from the environment (`COLDCHAIN_…`) and from `coldchain.toml` in the data directory."""

from __future__ import annotations

import calendar
import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

MAX_DEADLINE_H = 87_600
"""Ten years: longer than any goods, and in microseconds after any time still an integer of 64 bits."""


class Settings(BaseSettings):
    """Settings of one data directory. The environment wins over the file; command-line options win over both."""

    model_config = SettingsConfigDict(env_prefix="COLDCHAIN_", extra="forbid")

    dir: Path = Field(Path("coldchain-data"), description="Data directory.")
    database: str = Field("", description="Database URL; empty means SQLite in the data directory.")
    http: str = Field("127.0.0.1:8080", description="HOST:PORT of the web server; port 0 chooses one.")
    public_url: str = Field("", description="Address of the web server on papers; empty: that of COLDCHAIN_HTTP.")
    mqtt: str = Field("127.0.0.1:1883", description="HOST:PORT of the embedded broker, or mqtt://… of your own.")
    mqtt_username: str = Field("", description="Account of the server at your own broker.")
    mqtt_password: str = Field("", description="Its password; keep it in the environment, not in the file.")
    mqtt_client_id: str = Field("", description="MQTT client id at your own broker; empty: the user name.")
    jtt808: str = Field("", description="HOST:PORT of the door for trucks that speak JT/T 808; empty: none.")
    jtt808_gateway: str = Field("jtt808", description="Gateway in whose name their reports are recorded.")
    mosquitto_password_file: Path | None = Field(
        None, description="Mosquitto's password_file, rewritten at each enrolment."
    )
    mosquitto_pid_file: Path | None = Field(
        None, description="Mosquitto's pid_file, to tell it to read that file again."
    )
    log_origin: str = Field("", description="Origin of the ledger, fixed when it is created.")
    batch_messages: int = Field(2_000, ge=1, le=10_000, description="Messages recorded in one transaction at most.")
    batch_ms: int = Field(50, ge=0, le=5_000, description="Longest wait for a batch to fill, milliseconds.")
    queue_bytes: int = Field(64 * 2**20, ge=2**20, description="Bytes waiting for the ledger at most.")
    readers: int = Field(
        1, ge=0, le=64, description="Processes that verify and decode messages; 0: the server does it itself."
    )
    ask_parties: bool = Field(True, description="Ask the holder when a break of continuity is confirmed.")
    ask_deadline_h: float = Field(
        72, gt=0, le=MAX_DEADLINE_H, description="Hours of ledger time the holder has to answer."
    )
    time_floor: str = Field("2020-01-01", description="Device times before this date are not believed.")
    rejects_per_sender: int = Field(
        1_000, ge=1, description="Refused messages kept per sender and day; all are counted."
    )
    rejects_days: int = Field(30, ge=1, description="Days a refused message is kept.")
    webhooks_private: bool = Field(
        False, description="Subscribers and webhooks may be at private addresses, or on this machine."
    )
    smtp: str = Field("", description="HOST:PORT of the mail server that takes notifications; empty: none.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field("starttls", description="How the mail server is spoken to.")
    smtp_username: str = Field("", description="Account at the mail server; empty: none is needed.")
    smtp_password: SecretStr = Field(
        SecretStr(""), description="The mail account's password; from the environment, or in a file of its own."
    )
    smtp_password_file: Path | None = Field(None, description="File whose first line is that password.")
    smtp_from: str = Field("", description="Sender of notifications by e-mail, e.g. coldchain@example.com.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level written to stderr."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        directory = Path(init_settings().get("dir") or env_settings().get("dir") or "coldchain-data")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, directory / "coldchain.toml")

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.dir.resolve() / 'coldchain.db'}"

    @property
    def public_address(self) -> str:
        """Where others reach the web server, without a slash at its end."""
        return (self.public_url or f"http://{self.http}").rstrip("/")


def load_settings(**options: object) -> Settings:
    """Settings for one command; options given as None do not count."""
    return Settings(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]


def parse_date_us(text: str) -> int:
    """Midnight UTC of an ISO date, microseconds since the epoch. Raises ValueError naming the text."""
    day = datetime.date.fromisoformat(text)
    return calendar.timegm(day.timetuple()) * 1_000_000
