"""Files of data loggers of one data directory: read, recorded, their originals kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.imports import keep_original
from coldchain.decoders import formats
from coldchain.decoders.sheets import read_table
from coldchain.domain.mappings import DeviceMap
from coldchain.services.identity import CommandRefused
from coldchain.services.loggers import Reading, logger_entry, packs, summary_entry
from coldchain.services.transport import uplink_draft

_SENML = formats.format_named("senml")


def take_table(core: Core, device: str, data: bytes, sheet: str, how: Reading, grade: str) -> dict[str, Any]:
    """Every reading of a CSV or XLSX file is recorded, `declared` or `transcribed`, in one transaction, after the file
    is durable among the blobs; the same file again records nothing. Raises SheetError, CommandRefused."""
    version = _mapped(core, device)
    written, rows = packs(read_table(data, sheet), version.source, how)
    gateway = core.registry.gateway(version.gateway)
    assert gateway is not None, "a mapping names a registered gateway"
    sources = core.registry.sources
    drafts = [
        replace(uplink_draft(gateway, sources, _SENML.media_type, _SENML.read(pack), pack), grade=grade)
        for pack in written
    ]
    keep_original(core, data)
    outcomes = core.log.append([*drafts, replace(logger_entry(version, data, rows, written), grade=grade)])
    return {
        "device": device,
        "rows": rows,
        "recorded": sum(one.status == "added" for one in outcomes),
        "known": sum(one.status == "duplicate" for one in outcomes),
        "entries": [one.index for one in outcomes],
    }


def take_report(
    core: Core, device: str, data: bytes, least: str, most: str, from_us: int, to_us: int
) -> dict[str, Any]:
    """A printed report is kept by its hash with what somebody read off it. Raises CommandRefused."""
    draft = summary_entry(_mapped(core, device), data, least, most, from_us, to_us)
    keep_original(core, data)
    return {"device": device, "index": core.record(draft).index}


def _mapped(core: Core, device: str) -> DeviceMap:
    core.refresh_registry()
    version = core.registry.sources.latest(device)
    if version is None:
        raise CommandRefused(f"device {device!r} is not mapped: coldchain device map {device} --gateway … --source …")
    return version
