"""`make bench`: measure, print one table, write bench/results.json.

    python -m bench [--quick] [--only NAME]… [--broker mosquitto|nats] [--output FILE]

Every rate stands beside a reference measured in the same run, because the machine drifts and is shared; the table says
with whom. Ingest is what counts; profiles that led to how it is now are told where they mattered, in the docstrings of
`decoders/readers.py`, `bootstrap/server.py` and `mqtt/`.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from bench import (
    capture,
    checking,
    containment,
    epcis_hash,
    flood,
    history,
    ingest,
    ledger_append,
    pipe,
    upkeep,
    year,
)
from bench.fleet import READINGS
from bench.machine import Neighbours, load_average
from bench.processes import mosquitto_program
from bench.rows import Row, table
from coldchain.bootstrap.versions import interpreter

RESULTS = Path(__file__).with_name("results.json")
GATES = (5_000, 8_000)
"""Signed messages a second, everything on two cores (performance §2.1)."""
TARGET = 11_111
LATENCY_MS = 250


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started is ended
    began, load_before, neighbours = time.monotonic(), load_average(), Neighbours()
    rows = [row for name in options.only or BENCHES for row in BENCHES[name](options)]
    shared = f"load average {load_before} before, {load_average()} after; {neighbours.told()}; Python {interpreter()}"
    print(f"{table(rows)}\n\n{shared}\n{time.monotonic() - began:.0f} s")
    results = {"rows": [asdict(row) for row in rows], "shared": shared, "quick": options.quick, "at": int(time.time())}
    options.output.write_text(json.dumps(results, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, print one table, write the results.")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: whether it works, not how fast")
    parser.add_argument("--only", action="append", choices=BENCHES, help="this one; may be repeated")
    parser.add_argument("--broker", choices=("mosquitto", "nats"), help="for ingest; default mosquitto if installed")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go as JSON")
    return parser.parse_args()


def _ingest(options: argparse.Namespace) -> list[Row]:
    """Bare pipe, ingest, bare pipe: the reference before and after."""
    trucks, rounds, each, half_s = (200, 2, 3_000, 2.0) if options.quick else (1_000, 3, 60_000, 5.0)
    installed = mosquitto_program() is not None
    broker = options.broker or ("mosquitto" if installed else "nats")
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        site = ingest.prepare(Path(directory), trucks, rounds * each + each)
        bare = [pipe.measure(site, each)] if installed else []
        result = ingest.run(site, rounds, each, broker, half_s)
        bare += [pipe.measure(site, each)] if installed else []
    reference = statistics.mean(bare) if bare else None
    return _pipe_rows(bare) + _ingest_rows(result, reference) + _latency_rows(result)


def _pipe_rows(bare: list[float]) -> list[Row]:
    if not bare:
        return []
    note = f"mosquitto, paho, the same messages unverified; before {bare[0]:,.0f}, after {bare[-1]:,.0f}"
    return [Row("bare pipe", statistics.mean(bare), "messages/s", note=note)]


def _ingest_rows(result: ingest.Result, reference: float | None) -> list[Row]:
    rate, per_core = result.rate, result.per_core_second
    spent = ", ".join(f"{name} {taken / result.messages * 1e6:.0f}" for name, taken in result.cpu_s.items())
    lowest, highest = min(result.rates), max(result.rates)
    share = (reference, rate / reference) if reference else (None, None)
    gates = ", ".join(f"{'✓' if rate >= gate else '✗'} {gate:,}" for gate in (*GATES, TARGET))
    return [
        Row(
            f"ingest, {result.broker}", rate, "messages/s", "bare pipe", *share,
            target=gates,
            note=f"rounds {lowest:,.0f}-{highest:,.0f}; every message acknowledged, ledgered and packed once; fsck ok",
        ),
        Row("ingest, readings", rate * READINGS, "readings/s"),
        Row("ingest, per core-second", per_core, "messages", note=f"µs a message: {spent}"),
        Row("database", result.bytes_per_reading, "B/reading", target="30", met=result.bytes_per_reading <= 30),
    ]  # fmt: skip


def _latency_rows(result: ingest.Result) -> list[Row]:
    spread = result.latency_ms
    note = f"from the scheduled time; p50 {spread['p50']:.0f}, p90 {spread['p90']:.0f}, most {spread['p100']:.0f}"
    met = spread["p99"] < LATENCY_MS
    return [Row("latency at half load, p99", spread["p99"], "ms", target=f"< {LATENCY_MS}", met=met, note=note)]


def _append(options: argparse.Namespace) -> list[Row]:
    return ledger_append.rows(2 if options.quick else 5)


def _fsck(options: argparse.Namespace) -> list[Row]:
    return checking.rows(20_000, 2) if options.quick else checking.rows(200_000, 5)


def _epcis_hash(options: argparse.Namespace) -> list[Row]:
    return epcis_hash.rows(10, 2) if options.quick else epcis_hash.rows(100, 5)


def _containment(options: argparse.Namespace) -> list[Row]:
    return containment.rows(12_000, 40) if options.quick else containment.rows(1_000_000, 500)


def _capture(options: argparse.Namespace) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        result = capture.run(Path(directory), 20 if options.quick else 200)
    rate, size = result.events / result.recorded_s, result.document_bytes
    note = (
        f"documents of {capture.EVENTS} events, {size:,} bytes; each an entry, found once; server {{:.0f}} µs an event"
    )
    return [
        Row(
            "EPCIS capture over HTTP, durable", rate, "events/s", target="2,000", met=rate >= 2_000,
            note=note.format(result.cpu_s / result.events * 1e6),
        ),
        Row("EPCIS capture, found by queries", result.events / result.found_s, "events/s"),
    ]  # fmt: skip


def _history(options: argparse.Namespace) -> list[Row]:
    return history.rows(36, 20) if options.quick else history.rows(365, 200)


def _year(options: argparse.Namespace) -> list[Row]:
    return year.rows(20 if options.quick else 365)


def _late_flood(options: argparse.Namespace) -> list[Row]:
    return flood.rows(500 if options.quick else 5_000)


def _upkeep(options: argparse.Namespace) -> list[Row]:
    return upkeep.rows(100, 10, 1) if options.quick else upkeep.rows(300, 40, 5)


BENCHES: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "ingest": _ingest,
    "append": _append,
    "fsck": _fsck,
    "capture": _capture,
    "epcis-hash": _epcis_hash,
    "containment": _containment,
    "year": _year,
    "history": _history,
    "late-flood": _late_flood,
    "upkeep": _upkeep,
}

if __name__ == "__main__":
    main()
