"""Simulated and replayed devices against one broker: enrolled, connected, fed, waited for."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from coldchain.bootstrap.brokers import Address, Brokers
from coldchain.bootstrap.core import Core
from coldchain.bootstrap.enrol import admit_devices
from coldchain.bootstrap.server import Ingest
from coldchain.cli.common import Data
from coldchain.domain.fittings import PRODUCT
from coldchain.services.identity import CommandRefused, Enrolment
from coldchain.settings import Settings
from coldchain_devices.courier import hand_over
from coldchain_devices.outbox import Outbox
from coldchain_devices.plan import Action, Capture, Copy, DeviceSpec, Forgery, Link, Paper, Plan, Publish, passed_on
from coldchain_devices.publisher import Publisher
from coldchain_devices.signer import Alg, DeviceKey, Signed, Signer

PATIENCE_S = 60.0
"""Longest wait for the ledger's answers before a run is given up."""


class NoAnswer(Exception):
    """Messages that the ledger did not answer in time."""


def settings_to_play(data: Data, mqtt: str | None = None) -> Settings:
    """Settings under which a broker of our own is in nobody's way: on any free port, unless one is named."""
    settings = data.settings(mqtt=mqtt)
    if mqtt is None and "://" not in settings.mqtt:
        return data.settings(mqtt="127.0.0.1:0")
    return settings


@contextmanager
def broker_of(core: Core) -> Iterator[Address]:
    """The running server's broker, or one of our own with admission behind it."""
    with core.alone() as alone:
        if not alone:
            address = Brokers(core.settings, core.engine).address()
            if address is None:
                raise CommandRefused(f"another command works on {core.settings.dir}: try again when it has ended")
            yield address
            return
        with Ingest(core, core.admission.finish).started() as ingest:
            yield ingest.mqtt


class Player:
    """The devices of a plan in this process; `play` carries out actions up to a moment."""

    def __init__(self, core: Core, plan: Plan, outbox: Outbox) -> None:
        self._core = core
        self._plan = plan
        self._outbox = outbox
        self._signers: dict[str, Signer] = {}
        self._publishers: dict[str, Publisher] = {}
        self._down: set[str] = set()
        self._sent: dict[str, list[Signed]] = {
            action.device: [] for action in plan.actions if isinstance(action, Copy | Forgery)
        }
        """What others will bring once more, or forge."""
        self._algs: dict[str, Alg] = {spec.id: spec.alg for spec in plan.devices}
        self._bring: dict[str, Callable[[Signed], str]] = {}
        self.messages = self.captures = self.papers = 0
        """How many of each were carried out."""

    @contextmanager
    def connected(self, broker: Address, time_floor_us: int = 0) -> Iterator[Player]:
        """Every device enrolled, signing and connected."""
        credentials = admit_devices(self._core, [enrolment(spec, time_floor_us) for spec in self._plan.devices])
        with ExitStack() as stack:
            for spec in self._plan.devices:
                account = credentials[spec.id]
                self._signers[spec.id] = Signer(self._outbox, spec.id, spec.kid, spec.key())
                publisher = Publisher(
                    broker,
                    account.username,
                    account.password,
                    account.client_id,
                    spec.org,
                    spec.site,
                    spec.id,
                    self._outbox,
                )
                topic = f"cc/v1/{spec.org}/{spec.site}/{spec.id}"
                self._bring[spec.id] = partial(hand_over, broker, account.username, account.password, topic)
                publisher.start()
                stack.callback(publisher.stop)
                self._publishers[spec.id] = publisher
            yield self

    def play(self, actions: Sequence[Action]) -> None:
        """Carry them out in order; what a link that is down holds back stays in the outbox."""
        batch: dict[str, list[tuple[bytes, str]]] = {}
        for action in actions:
            match action:
                case Publish(device=device, body=body, typ=typ):
                    batch.setdefault(device, []).append((body, typ))
                    self.messages += 1
                case Link(device=device, up=up):
                    self._sign(batch)
                    self._got_through(device)
                    (self._down.discard if up else self._down.add)(device)
                    self._publishers[device].set_link(up)
                case Copy() | Forgery():
                    self._sign(batch)
                    self._pass_on(action)
                case Capture(org=org, body=body):
                    self._core.capture(org, body)
                    self.captures += 1
                case Paper(org=org, payload=payload):
                    self._core.record_document(org, json.loads(payload))
                    self.papers += 1
        self._sign(batch)

    def _sign(self, batch: dict[str, list[tuple[bytes, str]]]) -> None:
        for device, messages in batch.items():
            signed = self._signers[device].sign_many(messages)
            if device in self._sent:
                self._sent[device] += signed
        batch.clear()

    def _pass_on(self, action: Copy | Forgery) -> None:
        """Returns once the ledger has answered."""
        self._got_through(action.device)
        self._bring[action.device](passed_on(action, self._sent[action.device], self._algs[action.device]))

    def _got_through(self, device: str) -> None:
        """If its link is up, all it has sent is answered: hours of a history pass here in milliseconds."""
        if device not in self._down:
            wait_for([self._publishers[device]])

    def wait(self) -> None:
        """Everything sent over links that are up is answered by the ledger. Raises NoAnswer."""
        wait_for([publisher for device, publisher in self._publishers.items() if device not in self._down])


def wait_for(publishers: Sequence[Publisher]) -> None:
    for publisher in publishers:
        if not publisher.wait_idle(PATIENCE_S):
            raise NoAnswer(f"{publisher.pending()} messages of one device had no answer within {PATIENCE_S:.0f} s")


def enrolment(spec: DeviceSpec, time_floor_us: int) -> Enrolment:
    return Enrolment(
        org=spec.org,
        site=spec.site,
        device=spec.id,
        alg=spec.alg,
        public_key=public_text(spec.key()),
        place=spec.place,
        profile=spec.profile,
        time_floor_us=time_floor_us,
        role="portal" if spec.role == "portal" else "sensor",
        probes=dict.fromkeys(spec.product_probes, PRODUCT),
    )


def public_text(key: DeviceKey) -> str:
    """The public key as an enrolment states it."""
    return b64encode(key.public_spki()).decode()


def devices_directory(directory: Path) -> Path:
    path = directory / "devices"
    path.mkdir(mode=0o700, exist_ok=True)
    return path
