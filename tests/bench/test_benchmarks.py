"""The benchmarks run and check what they measured; how fast is not asked here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]


def measured(name: str, directory: Path, *options: str) -> dict[str, Any]:
    output = directory / "results.json"
    command = [sys.executable, "-m", "bench", "--quick", "--only", name, "--output", str(output), *options]
    env = {**os.environ, "TMPDIR": str(directory)}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=240, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    assert "load average" in results["shared"]
    for row in results["rows"]:
        assert row["name"] in done.stdout
        assert row["value"] > 0
    return {row["name"]: row for row in results["rows"]}


def test_ingest_is_measured_on_the_embedded_broker_and_leaves_no_process_behind(tmp_path: Path) -> None:
    rows = measured("ingest", tmp_path, "--broker", "nats")
    assert rows["ingest, readings"]["value"] == pytest.approx(20 * rows["ingest, nats"]["value"])
    assert [command for command in commands() if str(tmp_path) in command] == []


def test_a_ledger_is_checked_and_compared_with_bare_hashing(tmp_path: Path) -> None:
    rows = measured("fsck", tmp_path)
    assert rows["fsck, the tree alone"]["ratio"] < 1, "it hashes all that the reference hashes"


def test_event_hashes_are_compared_with_bare_hashing(tmp_path: Path) -> None:
    rows = measured("epcis-hash", tmp_path)
    assert rows["EPCIS event hash"]["ratio"] < 1, "it hashes all that the reference hashes"


def test_containment_at_an_instant_is_asked_among_many_cases(tmp_path: Path) -> None:
    rows = measured("containment", tmp_path)
    assert rows["containment at an instant"]["ratio"] > 1, "it asks more than the one query"


def test_documents_are_captured_over_http_and_every_event_is_found(tmp_path: Path) -> None:
    rows = measured("capture", tmp_path)
    assert rows["EPCIS capture over HTTP, durable"]["value"] >= rows["EPCIS capture, found by queries"]["value"]
    assert [command for command in commands() if str(tmp_path) in command] == []


def test_every_alarm_of_a_cold_store_is_found_in_whatever_order_it_reports(tmp_path: Path) -> None:
    rows = measured("year", tmp_path)
    assert "190 alarms, each found" in rows["a year of ten probes"]["note"]


def commands() -> list[str]:
    """Command lines of every process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it ended meanwhile
    return found


def test_a_flood_of_late_messages_ends_in_the_rows_of_the_same_in_order(tmp_path: Path) -> None:
    rows = measured("late-flood", tmp_path)
    assert set(rows) == {f"10,000 readings {order}" for order in ("in order", "late, in order", "late, shuffled")}


def test_following_is_measured_with_judging_and_without(tmp_path: Path) -> None:
    rows = measured("upkeep", tmp_path)
    assert rows["following, temperature judged"]["ratio"] > 1
