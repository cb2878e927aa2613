"""Devices as the ledger knows them: who they are, what was received of their chain, what of it counts (design §6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from coldchain.db.bulk import put_rows, remove_rows, update_rows
from coldchain.db.queries_fittings import fittings_of
from coldchain.db.queries_mounts import turns_of
from coldchain.db.tables.telemetry import (
    device,
    device_disputed,
    device_held,
    device_key,
    device_mounting,
    device_posting,
    device_range,
    device_state,
)
from coldchain.domain.blocks import block_of
from coldchain.domain.condition import DAY_US, UNTOLD, Condition, told
from coldchain.domain.devices import Chain, Changes, Enrolment, Message, Range, parse_identity
from coldchain.domain.fittings import Fitting
from coldchain.domain.mappings import DeviceMap
from coldchain.domain.rulepacks import Mounting
from coldchain.domain.telemetry import Block, Run, Telemetry
from coldchain.projections.fittings import fitted, histories, write_fittings
from coldchain.projections.mounts import Posting, postings, remounted
from coldchain.projections.sites import Sites
from coldchain.projections.transport import LOOSE, Transport, behind_gateway
from coldchain.services.recorded import Recorded, beside_telemetry

LOG_BITS = 40


def entry_ref(log: int, index: int) -> int:
    """(log, index) as one integer that sorts in ledger order; in log 1 it is the index."""
    return (log - 1) << LOG_BITS | index


class Withheld(NamedTuple):
    """What a message held back would have told had it counted."""

    condition: Condition
    at_us: int
    """When it was received."""


@dataclass(slots=True, eq=False)
class Device:
    """One device, in memory for as long as the projection runs."""

    no: int
    enrolled: Enrolment
    stated: list[Posting] = field(default_factory=list)
    """Where enrolments put it."""
    mountings: list[Mounting] = field(default_factory=list)
    fittings: tuple[Fitting, ...] = ()
    """What is known of its sensors, by time."""
    chain: Chain = field(default_factory=Chain)
    withheld: dict[bytes, Withheld] = field(default_factory=dict)
    """Of its messages held back, by hash."""
    condition: Condition = UNTOLD
    stored: Condition | None = None
    """The condition that the tables hold."""
    last_us: int | None = None
    """The newest believable time it told."""
    at_us: int = 0
    """When the newest message was received."""
    prompt_day: int = -1
    """A day of the ledger in which a message of it was prompt (`projections.lateness`)."""

    @property
    def name(self) -> str:
        return self.enrolled.device


@dataclass(slots=True, init=False, eq=False)
class Heard:
    """One message of a device on its way into the views."""

    device: Device
    ref: int
    boot: int
    seq: int
    sha256: bytes
    grade: str
    quality: str | None
    runs: Sequence[Run]
    """Samples whose time is not believed are in runs of quality `bad-time`."""
    block: Block
    """The same, packed."""

    def __init__(
        self,
        device: Device,
        ref: int,
        boot: int,
        seq: int,
        sha256: bytes,
        grade: str,
        quality: str | None,
        runs: Sequence[Run],
        block: Block,
    ) -> None:
        self.device, self.ref, self.boot, self.seq, self.sha256 = device, ref, boot, seq, sha256
        self.grade, self.quality, self.runs, self.block = grade, quality, runs, block

    @property
    def is_evidence(self) -> bool:
        """Known only after the whole batch was taken."""
        held, disputed = self.device.chain.held, self.device.chain.disputed
        return (not held or self.sha256 not in held) and (not disputed or (self.boot, self.seq) not in disputed)


class Arrival(NamedTuple):
    """A signed message that counts, in a day of the ledger that is not known to have seen a prompt one."""

    device: Device
    at_us: int
    last_us: int
    """Its newest sample."""


class DeviceState:
    """Folds identity entries, the chains of signed messages and what gateways passed on: `load` once, then `take` and
    `write` batch by batch."""

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}
        self._heard: dict[int, Device] = {}
        self._restated: dict[int, Device] = {}
        self._replaced: dict[str, Device] = {}
        """Devices whose enrolment says another place or profile than before."""
        self._sites = Sites()
        self._transport = Transport()
        self.remapped: dict[int, Device] = {}
        """Devices behind gateways whose messages this batch holds anew, all of them."""
        self.moved: dict[int, Device] = {}
        """Devices mounted elsewhere or judged by another pack in this batch."""
        self.refitted: dict[int, Device] = {}
        """Devices of whose sensors something else is known since this batch."""
        self.misclocked: dict[int, Device] = {}
        """Devices with times not believed in this batch."""
        self.arrivals: list[Arrival] = []
        """Of this batch."""

    def devices(self) -> Iterable[Device]:
        return self._devices.values()

    def load(self, connection: Connection) -> None:
        """Everything the tables hold, so that no batch reads them again."""
        self._transport.load(connection)
        revoked: dict[str, dict[str, int]] = {}
        for row in connection.execute(select(device_key).where(device_key.c.revoked_index.is_not(None))):
            revoked.setdefault(row.device, {})[row.kid] = row.revoked_index
        by_no = {}
        for row in connection.execute(select(device)):
            known = Device(row.device_no, _enrolment(row), chain=Chain(revoked=revoked.get(row.device)))
            by_no[row.device_no] = self._devices[row.device] = known
        for no, history in fittings_of(connection).items():
            by_no[no].fittings = history
            by_no[no].enrolled = replace(by_no[no].enrolled, fitting=history[0])
        for row in connection.execute(select(device_posting).order_by(device_posting.c.at_us)):
            by_no[row.device_no].stated.append(Posting(*row[1:]))
        self._sites.load(connection)
        posted: dict[int, list[Posting]] = {}
        for row in connection.execute(select(device_mounting).order_by(device_mounting.c.at_us)):
            posted.setdefault(row.device_no, []).append(Posting(row.at_us, row.place, row.profile))
        for device_no, rows in posted.items():
            by_no[device_no].mountings = self._sites.mountings(rows)
        for row in connection.execute(select(device_state)):
            known = by_no[row.device_no]
            known.last_us, known.at_us, known.condition = row.last_us, row.at_us, Condition(*row[4:-1])
            known.stored = known.condition
        for row in connection.execute(select(device_range).order_by(*device_range.primary_key)):
            by_no[row.device_no].chain.ranges.append(Range(*row[1:]))
        for row in connection.execute(select(device_disputed)):
            by_no[row.device_no].chain.disputed.add((row.boot, row.seq))
        for row in connection.execute(select(device_held)):
            message = Message(*row[1:9])
            by_no[row.device_no].chain.held[message.sha256] = message
            by_no[row.device_no].withheld[message.sha256] = Withheld(Condition(*row[9:-1]), row.at_us)

    def take(self, connection: Connection, batch: Sequence[Recorded]) -> list[Heard]:
        """Fold the batch in memory, identity entries into their tables. Returns its messages in ledger order."""
        self.moved, self.refitted, self.misclocked, self.remapped, self.arrivals = {}, {}, {}, {}, []
        heard: list[Heard] = []
        for recorded in batch:
            kind = recorded.entry.kind
            if kind == "telemetry" and recorded.telemetry is not None:
                heard.append(self._telemetry(recorded, recorded.telemetry, recorded.block))
            elif kind == "telemetry" and recorded.uplink is not None:
                for name in sorted(self._transport.take_births(connection, recorded)):
                    heard = self._retold(connection, self._devices[name], recorded, heard)
                heard += self._carried(recorded)
            elif kind == "event" and recorded.kid:
                heard += self._event(recorded)
            elif kind == "identity":
                version = self._transport.take_map(connection, recorded, entry_ref(recorded.log, recorded.index))
                if version is None:
                    self._identity(connection, recorded)
                else:
                    heard = self._remapped(connection, recorded, version, heard)
        rest = beside_telemetry(batch)
        self._post(connection, rest)
        self._fit(connection, rest)
        return heard

    def _carried(self, recorded: Recorded) -> list[Heard]:
        return [self._telemetry(recorded, said, None) for said in self._transport.told(recorded)]

    def _remapped(
        self, connection: Connection, recorded: Recorded, version: DeviceMap, heard: list[Heard]
    ) -> list[Heard]:
        """The device as the version has it, and where that speaks of time already told, its messages told anew."""
        known = self._device(version.device, recorded)
        self._mount(known, behind_gateway(version), recorded.entry.at_us)
        told_us = max(known.last_us or 0, known.condition.ahead_to_us or 0)
        if version.n > 1 and version.from_us > told_us:
            return heard
        return self._retold(connection, known, recorded, heard)

    def _retold(self, connection: Connection, known: Device, recorded: Recorded, heard: list[Heard]) -> list[Heard]:
        """All that gateways passed on of the device before this entry, told anew."""
        self.remapped[known.no] = known
        if not known.chain.ranges:
            known.condition = known.condition._replace(battery_us=None, battery=None)
        heard = [one for one in heard if one.device is not known or one.boot != LOOSE]
        for earlier in self._transport.earlier(
            connection, known.name, recorded.log, recorded.index
        ):  # reads the ledger: for the rare case
            heard += [one for one in self._carried(earlier) if one.device is known]
        return heard

    def _telemetry(self, recorded: Recorded, telemetry: Telemetry, block: Block | None) -> Heard:
        at_us = recorded.entry.at_us
        known = self._device(telemetry.device, recorded)
        whole = block_of(telemetry.runs) if block is None else block
        floor_us = known.enrolled.time_floor_us
        condition, runs, block = told(known.condition, telemetry.runs, whole, floor_us, at_us)
        quality = ",".join(telemetry.quality) or None
        heard = self._follow(known, recorded, telemetry.boot, telemetry.seq, condition, quality, runs, block)
        if heard.sha256 in known.chain.held:
            alone, _, _ = told(UNTOLD, telemetry.runs, whole, floor_us, at_us)
            known.withheld[heard.sha256] = Withheld(alone, at_us)
        elif known.prompt_day != at_us // DAY_US and heard.boot != LOOSE and block.last_us is not None:
            self.arrivals.append(Arrival(known, at_us, block.last_us))
        return heard

    def _event(self, recorded: Recorded) -> list[Heard]:
        """A signed event is a link of the same chain; its key says where (`tm/<device>/<boot>/<seq>`)."""
        name, *position = recorded.entry.key.partition("#")[0].split("/")[1:]
        if name != recorded.kid.partition("#")[0] or len(position) != 2 or not all(map(str.isdecimal, position)):
            return []
        known, (boot, seq) = self._device(name, recorded), map(int, position)
        floor_us, latest_us = known.enrolled.time_floor_us, recorded.entry.at_us + DAY_US
        times = [event.time_us for event in recorded.events if floor_us <= event.time_us <= latest_us]
        block = block_of(())._replace(first_us=min(times, default=None), last_us=max(times, default=None))
        heard = self._follow(known, recorded, boot, seq, known.condition, None, (), block)
        if heard.sha256 in known.chain.held:
            known.withheld[heard.sha256] = Withheld(UNTOLD, recorded.entry.at_us)
        return [heard]

    def _follow(
        self,
        known: Device,
        recorded: Recorded,
        boot: int,
        seq: int,
        condition: Condition,
        quality: str | None,
        runs: Sequence[Run],
        block: Block,
    ) -> Heard:
        """Put the message into its chain. What one that does not count says of the device is not believed either."""
        entry, ref = recorded.entry, entry_ref(recorded.log, recorded.index)
        sha256 = hashlib.sha256(entry.payload).digest()
        if boot != LOOSE:
            known.chain.take(
                Message(boot, seq, sha256, recorded.prev, recorded.kid, ref, block.first_us, block.last_us)
            )
        elif "#" in entry.key:
            known.chain.dispute_loose(boot, seq)
        if sha256 not in known.chain.held:
            self._believe(known, condition, block.last_us, entry.at_us)
        self._heard[known.no] = known
        return Heard(known, ref, boot, seq, sha256, entry.grade, quality, runs, block)

    def _believe(self, known: Device, condition: Condition, last_us: int | None, at_us: int) -> None:
        """A message counts: the device's condition with what it tells, its newest time, its receipt."""
        if condition is not known.condition and condition.clock != known.condition.clock:
            self.misclocked[known.no] = known
        known.condition = condition
        known.last_us, known.at_us = _later(known.last_us, last_us), max(known.at_us, at_us)

    def _identity(self, connection: Connection, recorded: Recorded) -> None:
        order, ref = parse_identity(recorded.body), entry_ref(recorded.log, recorded.index)
        if order is None:
            return
        known = self._device(order.device, recorded)
        if isinstance(order, Enrolment):
            key = (order.kid, order.device, order.alg, order.public_key, ref, known.chain.revoked.get(order.kid))
            self._mount(known, order, recorded.entry.at_us)
        else:
            known.chain.revoked[order.kid] = ref
            stored = connection.execute(select(device_key).where(device_key.c.kid == order.kid)).one_or_none()
            key = (*stored[:5], ref) if stored is not None else (order.kid, order.device, "", "", ref, ref)
        put_rows(connection, device_key, [key])

    def _mount(self, known: Device, order: Enrolment, at_us: int) -> None:
        before, known.enrolled = known.enrolled, order
        self._restated[known.no] = known
        if known.stated and (before.place, before.profile) == (order.place, order.profile):
            return
        if known.stated and known.stated[-1].at_us == at_us:
            known.stated.pop()
        known.stated.append(Posting(at_us, order.place, order.profile))
        self._replaced[known.name] = known

    def _post(self, connection: Connection, batch: Sequence[Recorded]) -> None:
        """Mountings are what enrolments, `mount` orders, associations and sites say by now."""
        stated = [(known.no, *posting) for known in self._replaced.values() for posting in known.stated]
        put_rows(connection, device_posting, stated)
        named = remounted(connection, batch) | self._sites.take(connection, batch)
        touched = {name: known for name in named if (known := self._devices.get(name))}
        touched |= self._replaced
        firsts = {name: known.stated[0].place for name, known in touched.items() if known.stated}
        for name, turns in turns_of(connection, firsts).items():
            known = touched[name]
            rows = postings(known.stated, turns)
            self.moved[known.no], known.mountings = known, self._sites.mountings(rows)
            remove_rows(connection, device_mounting, [(known.no,)], ("device_no =",))
            put_rows(connection, device_mounting, [(known.no, *row) for row in rows])
        self._replaced = {}

    def _fit(self, connection: Connection, batch: Sequence[Recorded]) -> None:
        """Fittings are what enrolments and `fitting` orders say by now."""
        touched = {name: known for name in fitted(batch) if (known := self._devices.get(name))}
        touched |= {known.name: known for known in self._restated.values()}
        firsts = {name: known.enrolled.fitting for name, known in touched.items()}
        for name, history in histories(connection, firsts).items():
            known = touched[name]
            if history != known.fittings:
                self.refitted[known.no], known.fittings = known, history
                write_fittings(connection, known.no, history)

    def _device(self, name: str, recorded: Recorded) -> Device:
        """The device, by name alone until it is enrolled."""
        known = self._devices.get(name)
        if known is None:
            unstated = Enrolment(name, "", "", "", "", "", recorded.entry.grade, "", "", 0, "")
            known = self._devices[name] = Device(entry_ref(recorded.log, recorded.index), unstated)
            self._restated[known.no] = known
        return known

    def write(self, connection: Connection) -> list[tuple[Device, Changes]]:
        """Write what changed since the last time. Returns the chains that did anything but grow at their end."""
        chains = [(known, known.chain.changes()) for known in self._heard.values()]
        for known, changes in chains:
            for message in changes.reached:
                withheld = known.withheld.pop(message.sha256)
                condition = known.condition.joined(withheld.condition)
                self._believe(known, condition, message.last_us, withheld.at_us)
        grown = [(known.no, kept) for known, changes in chains for kept in changes.grown]
        ranges = {(known.no, *at): kept for known, changes in chains for at, kept in changes.ranges.items()}
        put_rows(connection, device_range, [_range_row(no, kept) for (no, *_), kept in ranges.items() if kept])
        remove_rows(connection, device_range, [key for key, kept in ranges.items() if kept is None])
        grown = [(no, kept) for no, kept in grown if (no, kept.boot, kept.lo) not in ranges]
        ends = [(no, kept.boot, kept.lo, kept.hi, kept.last_sha256, kept.last_us) for no, kept in grown]
        update_rows(connection, device_range, ("hi", "last_sha256", "last_us"), ends)
        self._write_states(connection, [known for known, _ in chains])
        put_rows(connection, device, [_device_row(known) for known in self._restated.values()])
        self._heard, self._restated = {}, {}
        eventful = [(known, changes) for known, changes in chains if changes.eventful]
        self._write_exceptions(connection, eventful)
        return eventful

    def _write_states(self, connection: Connection, heard: Iterable[Device]) -> None:
        rows: list[tuple[Any, ...]] = []
        going_on: list[tuple[Any, ...]] = []
        for known in heard:
            boot, seq = known.chain.top()
            if known.stored is known.condition:
                going_on.append((known.no, boot, seq, known.last_us, known.at_us))
            else:
                rows.append((known.no, boot, seq, known.last_us, *known.condition, known.at_us))
                known.stored = known.condition
        put_rows(connection, device_state, rows)
        update_rows(connection, device_state, ("boot", "seq", "last_us", "at_us"), going_on)

    def _write_exceptions(self, connection: Connection, chains: Sequence[tuple[Device, Changes]]) -> None:
        disputed = [(known.no, *position) for known, changes in chains for position in changes.disputed]
        put_rows(connection, device_disputed, disputed)
        held = [(known, sha256, kept) for known, changes in chains for sha256, kept in changes.held.items()]
        put_rows(connection, device_held, [_held_row(known, kept) for known, _, kept in held if kept])
        remove_rows(connection, device_held, [(known.no, sha256) for known, sha256, kept in held if kept is None])


def _later(one_us: int | None, other_us: int | None) -> int | None:
    return one_us if other_us is None else other_us if one_us is None else max(one_us, other_us)


def _enrolment(row: Row[Any]) -> Enrolment:
    stated = {name: getattr(row, name) for name in device.columns.keys() if name != "device_no"}  # noqa: SIM118
    return Enrolment(kid="", alg="", public_key="", **stated)


def _device_row(known: Device) -> tuple[Any, ...]:
    stated = asdict(known.enrolled) | {"device_no": known.no}
    return tuple(stated[column.name] for column in device.columns)


def _range_row(no: int, kept: Range) -> tuple[Any, ...]:
    return (
        no,
        kept.boot,
        kept.lo,
        kept.hi,
        kept.first_prev,
        kept.last_sha256,
        kept.first_us,
        kept.last_us,
        kept.reach,
    )


def _held_row(known: Device, kept: Message) -> tuple[Any, ...]:
    withheld = known.withheld[kept.sha256]
    return (
        known.no,
        kept.boot,
        kept.seq,
        kept.sha256,
        kept.prev,
        kept.kid,
        kept.ref,
        kept.first_us,
        kept.last_us,
        *withheld.condition,
        withheld.at_us,
    )
