"""Device-signed messages through the real server: verified, deduplicated, ledgered, judged, acknowledged.

`coldchain serve` runs as a subprocess with every projection on. Trucks with keys of their own say 20 readings a
message, behind a few gateway accounts. The clock stops when every acknowledgement is back *and* the projections are at
the ledger's tip; then every message must be in the ledger once, and fsck must find nothing.
"""

from __future__ import annotations

import getpass
import json
import secrets
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.fleet import ORG, READINGS, Fleet, Script, sign_all
from bench.machine import cpu_seconds
from bench.processes import COLDCHAIN, ask, child, children_of, free_port, mosquitto_program
from coldchain.bootstrap.brokers import Brokers
from coldchain.bootstrap.core import open_core
from coldchain.bootstrap.enrol import admit_devices
from coldchain.db.accounts import StoredAccount, save_account
from coldchain.db.engine import make_engine, writing
from coldchain.db.series_rows import spoken
from coldchain.mqtt import mosquitto
from coldchain.mqtt.accounts import Credentials, new_account
from coldchain.mqtt.connection import probe_login
from coldchain.services.identity import Enrolment
from coldchain.settings import Settings

WINDOW = 8_000
"""Messages sent and not yet acknowledged by the ledger, all gateways together: a second's worth."""
TIP_S = 60.0


@dataclass(frozen=True)
class Result:
    """Some rounds at full speed and a while at half of it."""

    broker: str
    messages: int
    rates: list[float]
    """Messages/s of each round, from its first message sent to the last answered and all projections at the tip."""
    cpu_s: dict[str, float]
    """Processor time of server, broker and load generator in these rounds."""
    latency_ms: dict[str, float]
    """Percentiles from the scheduled send time to the answer at half the rate."""
    fsck: dict[str, Any]
    bytes_per_reading: float
    """Of the whole database, once the bundles that are old enough are compressed."""

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def per_core_second(self) -> float:
        """Messages for each second of processor time of server and broker."""
        return self.messages / (self.cpu_s["server"] + self.cpu_s["broker"])


@dataclass(frozen=True)
class Site:
    """A prepared data directory: devices enrolled, gateways let in, messages signed."""

    directory: Path
    fleet: Fleet
    scripts: list[Script]
    gateways: list[Credentials]
    entries: int
    """Ledger entries before the first message."""

    def lines(self) -> list[dict[str, Any]]:
        """What the load generator is told."""
        return [
            {
                "username": one.username, "password": one.password, "client_id": one.client_id,
                "site": self.fleet.site(number), "script": str(self.scripts[number].path),
                "trucks": len(range(number, self.fleet.trucks, self.fleet.gateways)), "gateways": self.fleet.gateways,
            }
            for number, one in enumerate(self.gateways)
        ]  # fmt: skip


def prepare(directory: Path, trucks: int, messages: int, gateways: int = 4) -> Site:
    """Enrol and sign; nothing runs yet."""
    fleet = Fleet(trucks, gateways, messages, secrets.token_bytes(16))
    data = directory / "data"
    with open_core(Settings(dir=data), create=True) as core:
        admit_devices(core, [_enrolment(fleet, truck) for truck in range(trucks)])
        credentials = []
        with writing(core.engine) as connection:
            for gateway in range(gateways):
                account, secret = new_account("gateway", ORG, fleet.site(gateway), f"gateway-{gateway}")
                stored = StoredAccount(
                    account.username, "gateway", account.org, account.site, account.device,
                    account.nats_hash, account.mosquitto_hash,
                )  # fmt: skip
                save_account(connection, stored, core.clock())
                credentials.append(secret)
        entries = core.log.edge().size
    return Site(data, fleet, sign_all(fleet, directory), credentials, entries)


def _enrolment(fleet: Fleet, truck: int) -> Enrolment:
    return Enrolment(
        org=ORG, site=fleet.site(truck % fleet.gateways), device=fleet.name(truck), alg="EdDSA",
        public_key=fleet.public_key(truck), place=f"veh:{fleet.name(truck)}",
    )  # fmt: skip


def run(site: Site, rounds: int, each: int, broker: str, half_s: float) -> Result:
    """`rounds` times `each` messages as fast as they go, then half as fast for `half_s` seconds, or as long as the
    script lasts. Raises RuntimeError unless every message is answered once, and in the ledger once."""
    full = rounds * each
    with ExitStack() as stack:
        address, env, broker_pid = stack.enter_context(the_broker(site, broker))
        server = stack.enter_context(serving(site.directory, address, env))
        ready = ask(server)
        started = children_of(server.pid)
        pids = {
            "server": [server.pid, *(pid for pid in started if broker_pid or not _is_nats(pid))],
            "broker": [broker_pid] if broker_pid else [pid for pid in started if _is_nats(pid)],
        }
        load = stack.enter_context(load_generator(site, int(ready["mqtt"].rpartition(":")[2])))
        before = {name: cpu_seconds(which) for name, which in pids.items()}
        rates, load_s = [], 0.0
        for number in range(1, rounds + 1):
            played = ask(load, {"upto": number * each, "window": WINDOW, "rate": None})
            rates.append(each / (at_tip(ready["http"], site.entries + number * each) - played["began"]))
            load_s += played["cpu_s"]
        cpu_s = {name: cpu_seconds(which) - before[name] for name, which in pids.items()}
        _all_answered(ask(load, "report"), full)
        half = statistics.median(rates) / 2
        more = min(int(half * half_s), site.fleet.messages - full)
        ask(load, {"upto": full + more, "window": site.fleet.messages, "rate": half})
        at_tip(ready["http"], site.entries + full + more)
        paced = ask(load, "report")
        _all_answered(paced, more)
    return Result(
        broker=broker,
        messages=full,
        rates=rates,
        cpu_s={**cpu_s, "load generator": load_s},
        latency_ms=paced["latency_ms"],
        fsck=_checked(site, full + more),
        bytes_per_reading=_compacted(site) / (full + more) / READINGS,
    )


@contextmanager
def load_generator(site: Site, port: int) -> Iterator[subprocess.Popen[str]]:
    """Logged in with every gateway."""
    command = [sys.executable, "-m", "bench.load", "127.0.0.1", str(port)]
    with child(*command, log=site.directory / "load.log") as load:
        ask(load, site.lines())
        yield load


def _is_nats(pid: int) -> bool:
    return (Path("/proc") / str(pid) / "comm").read_text().startswith("nats-server")


@contextmanager
def the_broker(site: Site, name: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """What `--mqtt` is to say, the environment it wants, and the broker's process where it is not the server's."""
    if name == "nats":
        yield f"127.0.0.1:{free_port()}", {}, 0
        return
    program, port = mosquitto_program(), free_port()
    assert program, "mosquitto is not installed"
    directory = site.directory / f"mosquitto-{port}"  # with the sessions of no run before
    directory.mkdir()
    files = [directory / "passwords", directory / "acl", directory / "mosquitto.pid"]
    url = f"mqtt://127.0.0.1:{port}"
    settings = {"COLDCHAIN_MOSQUITTO_PASSWORD_FILE": str(files[0]), "COLDCHAIN_MOSQUITTO_PID_FILE": str(files[2])}
    with open_core(
        Settings(dir=site.directory, mqtt=url, mosquitto_password_file=files[0], mosquitto_pid_file=files[2])
    ) as core:
        Brokers(core.settings, core.engine).apply()
    config = mosquitto.configuration(f"{port} 127.0.0.1", *map(str, files), f"{directory}/")
    (directory / "mosquitto.conf").write_text(f"{config}user {_user()}\n")
    with child(program, "-c", directory / "mosquitto.conf", log=directory / "log") as process:
        if not probe_login(("127.0.0.1", port), site.gateways[0], 10.0):
            raise RuntimeError(f"mosquitto does not answer: {(directory / 'log').read_text()[-2000:]}")
        yield url, settings, process.pid


def _user() -> str:
    """Mosquitto started by root would give up its rights to our folder."""
    return getpass.getuser()


@contextmanager
def serving(directory: Path, mqtt: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [COLDCHAIN, "serve", "--dir", directory, "--http", "127.0.0.1:0", "--mqtt", mqtt, "--json"]
    with child(*command, log=directory / "server.log", env=env) as process:
        yield process


def at_tip(http: str, entries: int, patience_s: float = TIP_S) -> float:
    """When the ledger held so many entries and every projection had folded all of it."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{http}/healthz", timeout=TIP_S) as answer:
                health = json.load(answer)
            if health["ledger_size"] >= entries and health["lag"] == 0:
                return time.monotonic()
        except urllib.error.HTTPError:
            pass  # 503: the projections are far behind
        time.sleep(0.05)
    raise TimeoutError(f"projections are not at the tip {patience_s:.0f} s after the last answer")


def _all_answered(report: dict[str, Any], messages: int) -> None:
    if (report["answered"], report["repeated"]) != (messages, 0):
        raise RuntimeError(f"{messages} messages sent, but {report}")


def _compacted(site: Site) -> int:
    """Bytes of the database when the server has had the time."""
    subprocess.run([COLDCHAIN, "compact", "--give-back", "--dir", site.directory], capture_output=True, check=True)
    return (site.directory / "coldchain.db").stat().st_size


def _checked(site: Site, messages: int) -> dict[str, Any]:
    """What fsck says. Raises RuntimeError where the ledger does not hold every message once."""
    done = subprocess.run(
        [COLDCHAIN, "fsck", "--dir", site.directory, "--json"], capture_output=True, text=True, check=True
    )
    with closing(sqlite3.connect(site.directory / "coldchain.db")) as database:
        keys = "SELECT key FROM entry_key UNION SELECT key FROM recent_key"
        (held,) = database.execute(f"SELECT count(*) FROM ({keys}) WHERE key LIKE 'tm/%'").fetchone()
    engine = make_engine(f"sqlite:///{site.directory / 'coldchain.db'}")
    with engine.connect() as connection:
        stored = len({one.entry for one in spoken(connection)})
    engine.dispose()
    if (held, stored) != (messages, messages):
        raise RuntimeError(f"{messages} messages sent, {held} in the ledger, {stored} in the series")
    report: dict[str, Any] = json.loads(done.stdout)
    return report
