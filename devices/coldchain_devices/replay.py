"""Plays a recorded tracker log as if its devices had sent it: one signed message for each row that carries a value.

The file is a CSV with a header, a line of units, and one row per report (nine trackers on sea containers, 2016). The
same file and keys give the same bytes, so a replay that was cut short is simply started again.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from coldchain_devices.errors import ReplayError
from coldchain_devices.senml import JSON_NUMBER, Exact, Reading, Value, pack
from coldchain_devices.signer import Chain, DeviceKey, Signed, seal

STATED = ("index", "SXXJ number", "Container", "Date", "Time_UTC")
MEASURED = (
    *("Latitude", "Longitude", "Accuracy", "Active", "Reverse", "Sleep", "Door", "Mount", "Motion"),
    *("GForce", "Tilt", "Temperature", "Humidity", "Light"),
)
COLUMNS = (*STATED, *MEASURED, "Origin", "Destination")
NAMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Latitude": ("lat", "lat"),
        "Longitude": ("lon", "lon"),
        "Temperature": ("temp/container", "Cel"),
        "Humidity": ("rh/container", "%RH"),
        "Light": ("light", "lx"),
        "Door": ("door/main", ""),
    }
)
"""Name and unit of telemetry §2; every other column travels as `x/<column>`."""
MISSING = frozenset({"NA", ""})


@dataclass(frozen=True, slots=True)
class Report:
    """One row that carries a value. seq counts such rows of the tracker from 0."""

    device: str
    seq: int
    sampled_us: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Recording:
    """A log read whole: its reports in the order of the file, and how many rows carry nothing."""

    boot: int
    """From the file's hash, 1..2^31-1: another file is another boot, the same file the same one."""
    reports: tuple[Report, ...]
    empty: int

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(sorted({report.device for report in self.reports}))

    @property
    def first_us(self) -> int:
        """The oldest time in the log: what a tracker's time floor must not lie above (telemetry §2)."""
        return min(report.sampled_us for report in self.reports)

    def signed(self, keys: Mapping[str, DeviceKey]) -> Iterator[tuple[Report, Signed]]:
        """Every report with its message, in the order of the file; each tracker's own chain starts empty."""
        chains = {device: Chain(self.boot, 0, b"") for device in self.devices}
        for report in self.reports:
            device = report.device
            message, chains[device] = seal(keys[device], f"{device}#1", chains[device], report.body, "senml+json")
            yield report, message


def read_recording(path: Path) -> Recording:
    """The log in the file. Raises ReplayError naming the line that is not as described."""
    data = path.read_bytes()
    try:
        lines = csv.reader(data.decode("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise ReplayError(f"{path.name}: expected text in UTF-8: {error}") from error
    header = tuple(next(lines, ()))
    if header != COLUMNS:
        raise ReplayError(f"{path.name}: columns {', '.join(header)!r} are not those of a tracker log")
    next(lines, None)  # the units
    reports: list[Report] = []
    sent: dict[str, int] = {}
    empty = 0
    for line, cells in enumerate(lines, start=3):
        if len(cells) != len(COLUMNS):
            raise ReplayError(f"{path.name} line {line}: {len(cells)} cells, {len(COLUMNS)} expected")
        row = dict(zip(COLUMNS, cells, strict=True))
        if all(row[column] in MISSING for column in MEASURED):
            empty += 1
            continue
        device = device_id(row["SXXJ number"])
        t_s = _seconds(row, f"{path.name} line {line}")
        seq = sent.setdefault(device, 0)
        sent[device] += 1
        reports.append(Report(device, seq, t_s * 1_000_000, pack(_readings(row, t_s))))
    boot = int.from_bytes(hashlib.sha256(data).digest()[:4], "big") % (2**31 - 1) + 1
    return Recording(boot, tuple(reports), empty)


def device_id(tracker: str) -> str:
    """`A` -> `sxxj-a`."""
    return f"sxxj-{tracker.lower()}"


def load_keys(folder: Path, devices: tuple[str, ...]) -> dict[str, DeviceKey]:
    """Each tracker's key from `<folder>/<device>.pem`; one that is missing is made and kept there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {device: DeviceKey.load_or_create(folder / f"{device}.pem") for device in devices}


def _seconds(row: dict[str, str], where: str) -> int:
    try:
        return int(datetime.fromisoformat(f"{row['Date']}T{row['Time_UTC']}").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise ReplayError(f"{where}: no time in {row['Date']!r} {row['Time_UTC']!r}") from error


def _readings(row: dict[str, str], t_s: int) -> list[Reading]:
    return [
        Reading(*NAMES.get(column, (f"x/{column}", "")), t_s, _value(column, row[column]))
        for column in MEASURED
        if row[column] not in MISSING
    ]


def _value(column: str, text: str) -> Value:
    """Numbers keep their digits, a door is a boolean, anything else (`cellid`) stays text."""
    if column == "Door" and text in ("0", "1"):
        return text == "1"
    return Exact(text) if JSON_NUMBER.fullmatch(text) else text
