"""docker-compose.yml, Dockerfile, mosquitto.conf and the settings say the same."""

from __future__ import annotations

import re
from pathlib import Path

from coldchain.settings import Settings

PROJECT = Path(__file__).parents[2]
COMPOSE = (PROJECT / "docker-compose.yml").read_text()
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
VARIABLES = dict(re.findall(r"^ +(COLDCHAIN_\w+): (.+)$", COMPOSE, re.M))
MOSQUITTO = dict(
    line.split(" ", 1)
    for line in (PROJECT / "mosquitto" / "mosquitto.conf").read_text().splitlines()
    if line and not line.startswith("#")
)


def test_every_variable_is_a_setting() -> None:
    named = set(re.findall(r"COLDCHAIN_\w+", COMPOSE + DOCKERFILE))
    assert named <= {f"COLDCHAIN_{name.upper()}" for name in Settings.model_fields}
    assert named >= VARIABLES.keys() != set()


def test_the_values_are_settings_the_server_accepts() -> None:
    values = {name.removeprefix("COLDCHAIN_").lower(): value for name, value in VARIABLES.items() if "$" not in value}
    Settings(**values)  # type: ignore[arg-type]


def test_account_files_and_ports_are_those_of_mosquitto() -> None:
    assert VARIABLES["COLDCHAIN_MOSQUITTO_PASSWORD_FILE"] == MOSQUITTO["password_file"]
    assert VARIABLES["COLDCHAIN_MOSQUITTO_PID_FILE"] == MOSQUITTO["pid_file"]
    assert VARIABLES["COLDCHAIN_MQTT"] == f"mqtt://mosquitto:{MOSQUITTO['listener']}"
    assert f"127.0.0.1:{MOSQUITTO['listener']}:{MOSQUITTO['listener']}" in COMPOSE
    assert f"[ -s {MOSQUITTO['acl_file']} ]" in COMPOSE


def test_what_must_outlive_a_container_is_on_a_volume() -> None:
    mounts = dict(re.findall(r"^ +- (\w+):(/\S+)$", COMPOSE, re.M))
    volumes = set(re.findall(r"^  (\w+):$", COMPOSE.partition("\nvolumes:\n")[2], re.M))
    assert mounts.keys() == volumes
    assert mounts["mosquitto"] == MOSQUITTO["persistence_location"].rstrip("/")
    assert mounts["accounts"] == str(Path(MOSQUITTO["password_file"]).parent)
    assert mounts["data"] == VARIABLES["COLDCHAIN_DIR"]


def test_the_server_is_the_user_that_owns_its_data_and_the_accounts() -> None:
    (user,) = re.findall(r"^    user: (\S+)$", COMPOSE, re.M)
    assert f"\nUSER {user}\n" in DOCKERFILE
    assert f"chown {user} {Path(MOSQUITTO['password_file']).parent} " in COMPOSE
    uid, gid = user.split(":")
    assert f"-o {uid} -g {gid} {VARIABLES['COLDCHAIN_DIR']}\n" in DOCKERFILE


def test_the_health_check_asks_the_port_that_is_served_and_published() -> None:
    port = VARIABLES["COLDCHAIN_HTTP"].rpartition(":")[2]
    assert f"http://127.0.0.1:{port}/healthz" in DOCKERFILE
    assert f"127.0.0.1:{port}:{port}" in COMPOSE


def test_no_password_is_written_down() -> None:
    for line in COMPOSE.splitlines():
        if re.match(r" +\w*PASSWORD: ", line):
            assert re.search(r": \$\{POSTGRES_PASSWORD:\?[^}]+\}$", line), line
    assert "@postgres/" in VARIABLES["COLDCHAIN_DATABASE"]
    assert ".env" in (PROJECT / ".gitignore").read_text().split()
