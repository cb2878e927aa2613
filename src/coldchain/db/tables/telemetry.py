"""Devices, their message chains, packed readings, and the temperature fold: projections, all of them.

`device_no` is the ledger index of the first entry that speaks of the device: short, and the same in every rebuild.
Times are integer microseconds since the epoch, UTC; `at` of the ledger where they are called `at_us`, else device time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, LargeBinary, SmallInteger, String, Table, Text

from coldchain.db.tables import metadata

_PROVENANCE = {"provenance": True}
_HOW = {"facts": False}
"""Of a table that says how rows lie or what is to be done with them: it may differ where the facts are the same
(docs/decisions/0012-packed-cells.md)."""


def _device_no(**options: Any) -> Column[int]:
    return Column("device_no", BigInteger, autoincrement=False, nullable=False, info=_PROVENANCE, **options)


def _condition() -> list[Column[Any]]:
    """What is told of a device's battery and clock (`coldchain.domain.condition`)."""
    spans = [f"{name}_{end}_us" for name in ("ahead", "early", "fast") for end in ("from", "to")]
    told = [Column(name, BigInteger) for name in spans]
    return [Column("battery_us", BigInteger), Column("battery", Float), *told]


device = Table(
    "device",
    metadata,
    Column("device", String(64), primary_key=True),
    _device_no(unique=True),
    Column("org", String(64), nullable=False),
    Column("site", String(64), nullable=False),
    Column("place", String(128), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("grade", String(16), nullable=False),
    Column("role", String(16), nullable=False),
    Column("time_floor_us", BigInteger, nullable=False),
)
"""What the newest enrolment or rotation states. place, profile: "" for none."""

device_key = Table(
    "device_key",
    metadata,
    Column("kid", String(80), primary_key=True),
    Column("device", String(64), nullable=False, index=True),
    Column("alg", String(16), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("enrolled_index", BigInteger, nullable=False, info=_PROVENANCE),
    Column("revoked_index", BigInteger, info=_PROVENANCE),
)
"""public_key: base64 of the SubjectPublicKeyInfo DER. A kid revoked without ever being enrolled has alg ""."""

device_posting = Table(
    "device_posting",
    metadata,
    _device_no(primary_key=True),
    Column("at_us", BigInteger, primary_key=True, autoincrement=False, info=_PROVENANCE),
    Column("place", String(128), nullable=False),
    Column("profile", String(64), nullable=False),
)
"""Where its enrolments say that a device hangs; a row only where one says otherwise than the one before."""

device_mounting = Table(
    "device_mounting",
    metadata,
    _device_no(primary_key=True),
    Column("at_us", BigInteger, primary_key=True, autoincrement=False, info=_PROVENANCE),
    Column("place", String(128), nullable=False),
    Column("profile", String(64), nullable=False),
)
"""Where a device was from a time on, by enrolments, `mount` orders and associations; a row only where it differs from
the one before. place "": it hangs nowhere."""

device_fitting = Table(
    "device_fitting",
    metadata,
    _device_no(primary_key=True),
    Column("from_us", BigInteger, primary_key=True, autoincrement=False),
    Column("probes", Text, nullable=False),
    Column("controller", SmallInteger, nullable=False),
    Column("certificate", String(200)),
    Column("until_us", BigInteger),
)
"""What was stated of a device's sensors from a time on (`coldchain.domain.fittings`); no row where nothing was. probes:
canonical JSON, probe to `product` or `air`. until_us: first moment at which the certificate is valid no more."""

device_map = Table(
    "device_map",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("gateway", String(64), nullable=False),
    Column("source", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""What a source behind a gateway is, version by version (`coldchain.domain.mappings`). body: canonical JSON."""

device_birth = Table(
    "device_birth",
    metadata,
    Column("gateway", String(64), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("t_us", BigInteger, primary_key=True, autoincrement=False),
    Column("names", Text, nullable=False),
)
"""Birth certificates of Sparkplug (`coldchain.domain.births`). names: canonical JSON."""

device_state = Table(
    "device_state",
    metadata,
    _device_no(primary_key=True),
    Column("boot", BigInteger),
    Column("seq", BigInteger),
    Column("last_us", BigInteger),
    *_condition(),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
)
"""boot, seq: newest message that counts. last_us: newest believable device time. battery: in the unit the device
states. ahead, early: span of times more than a day after their receipt, or before the device's floor; fast: hours with
times more than five minutes after it. at_us: newest receipt."""

device_delay = Table(
    "device_delay",
    metadata,
    _device_no(primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("is_prompt", Boolean, nullable=False, info=_PROVENANCE),
    Column("least", Text, nullable=False, info=_PROVENANCE),
    Column("behind_us", BigInteger, info=_PROVENANCE),
)
"""How late the signed messages were that a day of the ledger recorded (`coldchain.domain.lateness`): whether any was
prompt, else the least of each quarter hour (JSON list of pairs), and what that tells of the device's clock."""

device_range = Table(
    "device_range",
    metadata,
    _device_no(primary_key=True),
    Column("boot", BigInteger, primary_key=True, autoincrement=False),
    Column("lo", BigInteger, primary_key=True, autoincrement=False),
    Column("hi", BigInteger, nullable=False),
    Column("first_prev", LargeBinary),
    Column("last_sha256", LargeBinary),
    Column("first_us", BigInteger),
    Column("last_us", BigInteger),
    Column("reach", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Messages boot/lo..boot/hi, received without a hole and linked (`coldchain.domain.devices.Range`)."""

device_disputed = Table(
    "device_disputed",
    metadata,
    _device_no(primary_key=True),
    Column("boot", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
)
"""Places with differing copies: none of them is evidence (design §4.4)."""

device_held = Table(
    "device_held",
    metadata,
    _device_no(primary_key=True),
    Column("boot", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("sha256", LargeBinary, primary_key=True),
    Column("prev", LargeBinary, nullable=False),
    Column("kid", String(80), nullable=False),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
    Column("first_us", BigInteger),
    Column("last_us", BigInteger),
    *_condition(),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Messages of a revoked key, recorded after its revocation and not reached from before it: they do not count, and what
they tell of the device counts once they are reached. at_us: receipt."""

series = Table(
    "series",
    metadata,
    _device_no(primary_key=True),
    Column("cell", BigInteger, primary_key=True, autoincrement=False),
    Column("boot", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", BigInteger, primary_key=True, autoincrement=False, info=_PROVENANCE),
    Column("first_us", BigInteger),
    Column("last_us", BigInteger),
    Column("count", SmallInteger, nullable=False),
    Column("min_mc", BigInteger),
    Column("max_mc", BigInteger),
    Column("grade", SmallInteger, nullable=False),
    Column("quality", String(32)),
    Column("block", LargeBinary, nullable=False),
)
"""One row per message and cell of time, samples packed (`coldchain.domain.blocks`). cell: six hours of device time, 0
for samples without a believable one. min, max: over usable temperatures. Signed events have a row without samples."""

series_packed = Table(
    "series_packed",
    metadata,
    _device_no(primary_key=True),
    Column("cell", BigInteger, primary_key=True, autoincrement=False),
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("low_boot", BigInteger, nullable=False),
    Column("low_seq", BigInteger, nullable=False),
    Column("high_boot", BigInteger, nullable=False),
    Column("high_seq", BigInteger, nullable=False),
    Column("places", LargeBinary, nullable=False),
    Column("samples", LargeBinary, nullable=False),
    info=_HOW,
)
"""Rows of `series`, many in one, once their cell is over (`coldchain.domain.cells`). low, high: the first and the
last of their places in the device's chain, boot before seq."""

series_due = Table(
    "series_due",
    metadata,
    _device_no(primary_key=True),
    Column("cell", BigInteger, primary_key=True, autoincrement=False, index=True),
    info=_HOW,
)
"""Cells of `series` that changed since they were packed and rolled up, if they ever were."""

rollup_due = Table(
    "rollup_due",
    metadata,
    _device_no(primary_key=True),
    Column("cell", BigInteger, nullable=False),
    info=_HOW,
)
"""Devices whose roll-ups from a cell on were made by another rule than is in force by now."""

rollup_hour = Table(
    "rollup_hour",
    metadata,
    _device_no(primary_key=True),
    Column("cell", BigInteger, primary_key=True, autoincrement=False),
    Column("hours", LargeBinary, nullable=False),
)
"""Readings that are evidence, summed up by channel and hour, of cells that are over (`coldchain.domain.rollups`)."""

rollup_day = Table(
    "rollup_day",
    metadata,
    _device_no(primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("readings", BigInteger, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("squares", BigInteger),
    Column("first_us", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("gap_us", BigInteger, nullable=False),
    Column("silence_us", BigInteger, nullable=False),
)
"""The same by day; day: days since the epoch. channel: the name of its samples. Values: thousandths of a unit."""

channel = Table(
    "channel",
    metadata,
    _device_no(primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("lost", SmallInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("last_us", BigInteger),
    Column("last_mc", BigInteger),
    Column("seen_us", BigInteger, nullable=False),
    Column("beyond_us", BigInteger),
    Column("confirmed_us", BigInteger),
    Column("extreme_mc", BigInteger),
    Column("faults", BigInteger, nullable=False),
    Column("reason", String(16), nullable=False),
    Column("beyond_limit", String(8), nullable=False),
    Column("far_us", BigInteger),
    Column("critical_us", BigInteger),
    Column("stretch_us", BigInteger),
)
"""One probe: where its fold stands (`coldchain.domain.temperature.FoldState`), so the newest reading is here too.
lost: 1 once nothing usable has followed for longer than the rule allows; `state` and `since_us` then tell of before."""

segment = Table(
    "segment",
    metadata,
    _device_no(primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("from_us", BigInteger, primary_key=True, autoincrement=False),
    Column("to_us", BigInteger),
    Column("state", String(16), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("max_mc", BigInteger),
    Column("confirmed_us", BigInteger),
    Column("beyond_limit", String(8), nullable=False),
    Column("min_mc", BigInteger),
    Column("critical_us", BigInteger),
)
"""in_range, breach, unknown, one after the other; to_us NULL while one lasts (`channel.last_us` says how far)."""

channel_snapshot = Table(
    "channel_snapshot",
    metadata,
    _device_no(primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("cell", BigInteger, primary_key=True, autoincrement=False),
    Column("fold", Text, nullable=False),
)
"""The fold before the first item of a cell: late data folds on from here. JSON list, a FoldState, or null."""

quality = Table(
    "quality",
    metadata,
    _device_no(primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("from_us", BigInteger, primary_key=True, autoincrement=False),
    Column("to_us", BigInteger),
    Column("detail", Text, nullable=False),
)
"""When a sensor was doubted (`coldchain.domain.quality`). from_us, to_us: of a
spike its one reading; of a stuck sensor its first and last equal one, NULL while the newest is one of them; else the
window that was compared. detail: canonical JSON, what was compared."""

rule_pack = Table(
    "rule_pack",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Packs recorded in the ledger. body: canonical JSON."""

rule_profile = Table(
    "rule_profile",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Profiles recorded in the ledger. body: canonical JSON."""

Index("ix_segment_state", segment.c.state, segment.c.to_us)
