"""The recorded sea containers, through a real broker: every value is in the ledger, a second run adds nothing."""

from __future__ import annotations

import csv
import json
import sqlite3
from base64 import urlsafe_b64decode
from collections import Counter
from contextlib import closing
from pathlib import Path

from coldchain_ledger.entry import parse_entry
from e2e.serving import run

TEXT_AND_NUMBERS = (
    "Latitude", "Longitude", "Accuracy", "Active", "Reverse", "Sleep", "Door", "Mount", "Motion", "GForce", "Tilt",
    "Temperature", "Humidity", "Light",
)  # fmt: skip
"""Columns whose values travel; the ones before name the row."""


def test_every_row_with_a_value_is_recorded_once(shared_vectors: Path, tmp_path: Path) -> None:
    recording = shared_vectors / "data" / "schenker-sea-containers-2016.csv"
    first = run("replay", str(recording), "--dir", str(tmp_path / "d"))
    assert (first["rows"], first["empty"], first["published"]) == (27_049, 1_151, 25_898)
    assert first["published"] == first["admitted"] + first["duplicates"] + first["refused"]
    assert (first["admitted"], first["refused"], first["fsck"]) == (25_898, 0, True)
    assert recorded_values(tmp_path / "d") == values_of(recording)
    second = run("replay", str(recording), "--dir", str(tmp_path / "d"))
    assert (second["admitted"], second["duplicates"], second["fsck"]) == (0, 25_898, True)


def values_of(recording: Path) -> Counter[str]:
    """How many values of each column the file has, a value being anything but NA or nothing."""
    with recording.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["index"] != "#"]
    return Counter(
        name
        for row in rows
        for name in TEXT_AND_NUMBERS
        if row[name] not in ("NA", "") and any(row[other] not in ("NA", "") for other in TEXT_AND_NUMBERS)
    )


def recorded_values(directory: Path) -> Counter[str]:
    """The same of the ledger's entries, read from their bytes."""
    column_of = {
        "lat": "Latitude",
        "lon": "Longitude",
        "door": "Door",
        "temp": "Temperature",
        "rh": "Humidity",
        "light": "Light",
    }
    counted: Counter[str] = Counter()
    with closing(sqlite3.connect(directory / "coldchain.db")) as db:
        for (data,) in db.execute("SELECT data FROM entry"):
            entry = parse_entry(bytes(data))
            if entry.kind != "telemetry":
                continue
            assert entry.grade == "transport"
            body = entry.payload.split(b".")[1]
            name = ""
            for record in json.loads(urlsafe_b64decode(body + b"=" * (-len(body) % 4))):
                name = record.get("bn", "") + record.get("n", "")
                root, _, rest = name.partition("/")
                counted[rest if root == "x" else column_of[root]] += 1
    return counted
