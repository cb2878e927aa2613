"""What a scenario asks of its driver: devices to enrol and an ordered list of timed actions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from coldchain_devices.signer import LEAVES, Alg, Chain, DeviceKey, Signed, b64url, seal


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device to enrol before the first action."""

    id: str
    org: str
    site: str
    place: str | None
    """`veh:…` or `room:…` where it is mounted; None for a portal at a dock."""
    role: str
    """`sensor` or `portal`."""
    profile: str | None
    alg: Alg
    key_seed: bytes
    product_probes: tuple[str, ...] = ()
    """Probes, without `temp/`, that measure the goods and not the air."""

    @property
    def kid(self) -> str:
        return f"{self.id}#1"

    def key(self) -> DeviceKey:
        """The same key for the same scenario and seed, so that the messages are the same too."""
        return DeviceKey.derive(self.key_seed, self.alg)


@dataclass(frozen=True, slots=True)
class Publish:
    """The device signs `body` and hands it to its publisher."""

    at_us: int
    device: str
    typ: str
    body: bytes
    sampled_us: int
    """First moment the body speaks of."""


@dataclass(frozen=True, slots=True)
class Link:
    """The device's radio link goes down, or comes back."""

    at_us: int
    device: str
    up: bool


@dataclass(frozen=True, slots=True)
class Capture:
    """A warehouse system of the organisation captures an EPCIS document."""

    at_us: int
    org: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Paper:
    """A document or an order of the organisation; `key` and `subjects` as its ledger entry has them."""

    at_us: int
    org: str
    kind: str
    """`document` or `order`."""
    key: str
    subjects: tuple[str, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Copy:
    """Someone sends the device's nth message of the plan (from 0) on a way of their own, unchanged."""

    at_us: int
    device: str
    nth: int


@dataclass(frozen=True, slots=True)
class Forgery:
    """Someone without the device's key sends its nth message with a signature of their own."""

    at_us: int
    device: str
    nth: int


Action = Publish | Link | Capture | Paper | Copy | Forgery


@dataclass(frozen=True, slots=True)
class Note:
    """What really happens in a scenario and nobody reports: to check conclusions against, never an input to them."""

    kind: str
    """`door-open`, `re-palletizing`, `inspection`, or the kind of a fault."""
    from_us: int
    to_us: int
    names: tuple[str, ...]
    """Subject names concerned: vehicle, pallets, cases, or `dev:<id>`."""


@dataclass(frozen=True, slots=True)
class Misreads:
    """Accidents of the portals, which the events do not tell from the truth."""

    missed: int
    """Tags that went through and were not read."""
    stray: int
    """Tags of neighbours that were read with a pallet's."""


def passed_on(action: Copy | Forgery, sent: Sequence[Signed], alg: Alg) -> Signed:
    """What someone sends in place of a device that signed `sent` with such a key."""
    message = sent[action.nth]
    if isinstance(action, Copy):
        return message
    signed_part = message.jws.rpartition(b".")[0]
    signature = DeviceKey.derive(b"forger", alg).sign(signed_part)
    return replace(message, jws=signed_part + b"." + b64url(signature).encode())


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it reaches the broker."""

    at_us: int
    device: str
    leaf: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario played with one seed; equal seeds give equal plans, byte for byte."""

    name: str
    seed: int
    start_us: int
    end_us: int
    orgs: tuple[tuple[str, str, str], ...]
    """(id, role, name)"""
    devices: tuple[DeviceSpec, ...]
    actions: tuple[Action, ...]
    """By time."""
    notes: tuple[Note, ...]
    misreads: Misreads

    def slice(self, from_us: int, to_us: int) -> tuple[Action, ...]:
        """The actions in [from_us, to_us), in order."""
        first = bisect_left(self.actions, from_us, key=lambda action: action.at_us)
        last = bisect_left(self.actions, to_us, key=lambda action: action.at_us)
        return self.actions[first:last]

    def deliveries(self) -> list[Delivery]:
        """Every message signed and at the moment it gets through: what was published while a link was down comes when
        it is up again (never, if it stays down). For drivers without MQTT."""
        chains = {device.id: Chain(1, 0, b"") for device in self.devices}
        keys = {device.id: (device.kid, device.key()) for device in self.devices}
        sent: dict[str, list[Signed]] = {device.id: [] for device in self.devices}
        waiting: dict[str, list[Delivery]] = {}
        got_through: list[Delivery] = []
        for action in self.actions:
            if isinstance(action, Link):
                got_through += _flood(waiting.pop(action.device, []), action.at_us)
                if not action.up:
                    waiting[action.device] = []
            elif isinstance(action, Publish):
                kid, key = keys[action.device]
                message, chains[action.device] = seal(key, kid, chains[action.device], action.body, action.typ)
                sent[action.device].append(message)
                delivery = Delivery(action.at_us, action.device, LEAVES[action.typ], message.jws)
                waiting.get(action.device, got_through).append(delivery)
            elif isinstance(action, Copy | Forgery):
                other = passed_on(action, sent[action.device], keys[action.device][1].alg)
                got_through.append(Delivery(action.at_us, action.device, LEAVES[other.typ], other.jws))
        return sorted(got_through, key=lambda delivery: delivery.at_us)


def _flood(waiting: list[Delivery], at_us: int) -> Iterator[Delivery]:
    return (Delivery(at_us, delivery.device, delivery.leaf, delivery.payload) for delivery in waiting)
