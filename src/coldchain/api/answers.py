"""Rows of the tables -> the answers programs get."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row

from coldchain.api.schemas import (
    Acknowledgement,
    Affected,
    Device,
    DeviceDetail,
    Finding,
    FindingDetail,
    Fitting,
    Key,
    Mounting,
    Probe,
    Reading,
    Reject,
    Stretch,
)
from coldchain.db.queries_findings import Life, Named
from coldchain.domain.fittings import Fitting as Fitted
from coldchain.domain.fittings import last_day
from coldchain.projections.rollups import Stretch as StoredStretch
from coldchain.projections.series import PROBES
from coldchain.projections.series import Reading as StoredReading
from coldchain.services.moments import rfc3339, rfc3339_or_none


def device(row: Row[Any], probes: Sequence[Row[Any]]) -> Device:
    return Device(**_device_fields(row, probes))


def device_detail(
    row: Row[Any],
    probes: Sequence[Row[Any]],
    keys: Sequence[Row[Any]],
    mounted: Sequence[Row[Any]],
    fitted: Sequence[Fitted],
    open_findings: int,
) -> DeviceDetail:
    return DeviceDetail(
        **_device_fields(row, probes),
        keys=[Key(kid=k.kid, alg=k.alg, enrolled_index=k.enrolled_index, revoked_index=k.revoked_index) for k in keys],
        mountings=[Mounting(at=rfc3339(m.at_us), place=m.place, profile=m.profile) for m in mounted],
        fittings=[_fitting(one) for one in fitted],
        open_findings=open_findings,
    )


def _fitting(one: Fitted) -> Fitting:
    certificate, until_us = one.calibration or ("", None)
    return Fitting(
        at=rfc3339(one.from_us),
        probes=dict(one.probes),
        controller=one.controller,
        certificate=certificate,
        certified_to=None if until_us is None else last_day(until_us),
    )


def _device_fields(row: Row[Any], probes: Sequence[Row[Any]]) -> dict[str, Any]:
    stated = {name: getattr(row, name) for name in ("device", "org", "site", "place", "profile", "role", "grade")}
    return stated | {
        "boot": row.boot,
        "seq": row.seq,
        "last_sampled_at": rfc3339_or_none(row.last_us),
        "last_received_at": rfc3339_or_none(row.at_us),
        "probes": [_probe(probe) for probe in probes],
    }


def _probe(row: Row[Any]) -> Probe:
    return Probe(
        probe=row.channel,
        state=row.state,
        since=rfc3339(row.since_us),
        last_at=rfc3339_or_none(row.last_us),
        last_mc=row.last_mc,
    )


def reading(stored: StoredReading, probe: str) -> Reading:
    return Reading(
        probe=probe,
        at=rfc3339(stored.t_us),
        mc=stored.value if isinstance(stored.value, int) else None,
        quality=stored.quality,
        boot=stored.boot,
        seq=stored.seq,
        index=stored.entry,
    )


def stretch(found: StoredStretch) -> Stretch:
    bucket, temperature = found.bucket, found.channel.startswith(PROBES)
    fields = {
        "channel": found.channel,
        "probe": found.channel.removeprefix(PROBES) if temperature else None,
        "from": rfc3339(found.from_us),
        "to": rfc3339(found.to_us),
        "readings": bucket.readings,
        "min": bucket.low,
        "max": bucket.high,
        "mean": bucket.mean,
        "deviation": bucket.deviation,
        "gap_share": found.gap_share,
        "first_at": rfc3339(bucket.first_us),
        "first": bucket.first,
        "last_at": rfc3339(bucket.last_us),
        "last": bucket.last,
    }
    return Stretch.model_validate(fields)


def finding(row: Row[Any]) -> Finding:
    return Finding(**_finding_fields(row))


def finding_detail(life: Life, named: Named, unseal: Callable[[str], str | None]) -> FindingDetail:
    """named: what its newest entry says beside the table."""
    return FindingDetail(
        **_finding_fields(life.newest),
        entries=named.entries,
        affected=None if named.affected is None else Affected(**named.affected),
        acknowledged=life.standing,
        acknowledgements=[_acknowledgement(row, unseal) for row in life.acks],
        life=[finding(row) for row in life.published],
    )


def _acknowledgement(row: Row[Any], unseal: Callable[[str], str | None]) -> Acknowledgement:
    same = {name: getattr(row, name) for name in ("n", "by", "role", "comment", "seen")}
    name = unseal(row.name_sealed) if row.name_sealed else None
    return Acknowledgement(**same, name=name, at=rfc3339(row.at_us), index=row.entry)


_SAID = ("n", "rule", "subject", "channel", "verdict", "state", "severity", "event", "basis")


def _finding_fields(row: Row[Any]) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in _SAID}
    return same | {
        "id": row.finding,
        "from_": rfc3339(row.from_us),
        "to": rfc3339_or_none(row.to_us),
        "current": bool(row.current),
        "published_at": rfc3339(row.at_us),
        "index": row.entry,
        "detail": json.loads(row.detail),
    }


def reject(row: Row[Any]) -> Reject:
    same = {name: getattr(row, name) for name in ("id", "topic", "device", "reason", "detail", "bytes")}
    return Reject(**same, at=rfc3339(row.at_us), sha256=row.sha256.hex())
