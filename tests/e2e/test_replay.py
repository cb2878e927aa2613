"""The recorded sea containers, through a real broker: every value is in the ledger, a second run adds nothing."""

from __future__ import annotations

import csv
import json
from base64 import urlsafe_b64decode
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from coldchain.rules import shipped_packs
from coldchain_ledger.entry import parse_entry
from e2e.serving import run, stored_entries
from temperature import reference as plain

TEXT_AND_NUMBERS = (
    "Latitude", "Longitude", "Accuracy", "Active", "Reverse", "Sleep", "Door", "Mount", "Motion", "GForce", "Tilt",
    "Temperature", "Humidity", "Light",
)  # fmt: skip
"""Columns whose values travel; the ones before name the row."""


def test_every_row_with_a_value_is_recorded_once(shared_vectors: Path, tmp_path: Path) -> None:
    recording = shared_vectors / "data" / "schenker-sea-containers-2016.csv"
    first = run("replay", str(recording), "--profile", "CN-frozen", "--dir", str(tmp_path / "d"))
    assert (first["rows"], first["empty"], first["published"]) == (27_049, 1_151, 25_898)
    assert first["published"] == first["admitted"] + first["duplicates"] + first["refused"]
    assert (first["admitted"], first["refused"], first["fsck"]) == (25_898, 0, True)
    assert recorded_values(tmp_path / "d") == values_of(recording)
    summary = run("device", "summary", "--dir", str(tmp_path / "d"))
    assert [judged(item) for item in summary["items"]] == accounts(recording)
    second = run("replay", str(recording), "--profile", "CN-frozen", "--dir", str(tmp_path / "d"))
    assert (second["admitted"], second["duplicates"], second["fsck"]) == (0, 25_898, True)


def judged(item: dict[str, Any]) -> dict[str, Any]:
    """What an account says of a tracker, without the times it is of."""
    return {name: value for name, value in item.items() if name not in ("channel", "from", "to", "unjudged_s")}


def accounts(recording: Path) -> list[dict[str, Any]]:
    """The same by the second implementation, from the file alone: every gap over the limit is unknown, every repetition
    collapses, every step backward is counted."""
    rule = shipped_packs()[[pack.name for pack in shipped_packs()].index("CN-frozen")].stages["transport"]
    found = []
    for tracker, rows in trackers(recording).items():
        times = [time_us(row) for row in rows]
        said = [(time_us(row), round(float(row["Temperature"]) * 1000)) for row in rows if row["Temperature"] != "NA"]
        items = plain.items_of(said)
        last_us = max(items)
        lasted = dict.fromkeys(("in_range", "breach", "unknown"), 0)
        gaps = []
        for piece in plain.pieces(items, rule, last_us):
            length_us = (last_us if piece.to_us is None else piece.to_us) - piece.from_us
            lasted[piece.state] += length_us
            gaps += [length_us] if piece.state == "unknown" and length_us else []
        found.append(
            {
                "device": f"sxxj-{tracker.lower()}",
                "values": len(said),
                "times": len(items),
                "repeated": len(said) - len(items),
                "faults": 0,
                "backward": sum(after < before for before, after in pairwise(times)),
                "min_mc": min(mc for _, mc in said),
                "max_mc": max(mc for _, mc in said),
                **{f"{state}_s": round(us / 1e6) for state, us in lasted.items()},
                "gaps": len(gaps),
                "longest_gap_s": round(max(gaps) / 1e6),
            }
        )
    return found


def trackers(recording: Path) -> dict[str, list[dict[str, str]]]:
    """Rows that carry a value, by tracker, in the order of the file."""
    found: dict[str, list[dict[str, str]]] = {}
    with recording.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if row["index"] != "#" and any(row[name] not in ("NA", "") for name in TEXT_AND_NUMBERS):
                found.setdefault(row["SXXJ number"], []).append(row)
    return dict(sorted(found.items()))


def time_us(row: dict[str, str]) -> int:
    return round(datetime.fromisoformat(f"{row['Date']}T{row['Time_UTC']}+00:00").timestamp()) * 1_000_000


Value = tuple[str, int, str, float | bool | str]
"""(device, second, column, value): what must not be lost."""


def values_of(recording: Path) -> Counter[Value]:
    """Every value of the file, a value being anything but NA or nothing, and how often it is stated."""
    counted: Counter[Value] = Counter()
    for tracker, rows in trackers(recording).items():
        for row in rows:
            stated = ((name, row[name]) for name in TEXT_AND_NUMBERS if row[name] not in ("NA", ""))
            second = time_us(row) // 1_000_000
            counted.update((f"sxxj-{tracker.lower()}", second, name, meant(name, text)) for name, text in stated)
    return counted


def meant(name: str, text: str) -> float | bool | str:
    if name == "Door":
        return text == "1"
    try:
        return float(text)
    except ValueError:
        return text


def recorded_values(directory: Path) -> Counter[Value]:
    """The same of the ledger's entries, read from their bytes."""
    column_of = {
        "lat": "Latitude",
        "lon": "Longitude",
        "door": "Door",
        "temp": "Temperature",
        "rh": "Humidity",
        "light": "Light",
    }
    counted: Counter[Value] = Counter()
    for data in stored_entries(directory):
        entry = parse_entry(data)
        if entry.kind != "telemetry":
            continue
        assert entry.grade == "transport"
        header, body = (json.loads(urlsafe_b64decode(part + b"==")) for part in entry.payload.split(b".")[:2])
        base_name, base_s = "", 0.0
        for record in body:
            base_name, base_s = record.get("bn", base_name), record.get("bt", base_s)
            root, _, rest = (base_name + record.get("n", "")).partition("/")
            value = next(record[kind] for kind in ("v", "vs", "vb") if kind in record)
            column = rest if root == "x" else column_of[root]
            counted[header["kid"].partition("#")[0], round(base_s + record.get("t", 0)), column, value] += 1
    return counted
