"""`coldchain replay`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldchain.cli.common import BROKEN, Data, data_options, fail

if TYPE_CHECKING:
    from coldchain.bootstrap.core import Core
    from coldchain_devices.replay import Recording

CHUNK = 2_000
"""Messages stored in the outbox at a time."""
ORG = "replay"


@click.command()
@data_options
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--mqtt", metavar="HOST:PORT|URL", help="Broker, when no server runs on D (default: one of our own).")
@click.option("--profile", metavar="PACK", help="Rule pack to judge the temperatures by, or `none` (default: none).")
def command(data: Data, file: Path, mqtt: str | None, profile: str | None) -> None:
    """Play a recorded CSV log as if its devices sent it: one signed message for each row that carries a value.

    Keys are kept in D/replay, so a second run sends the same bytes and every message is a duplicate. Goes through the
    broker of the server that runs on D; without one, through a broker of its own.
    """
    from coldchain.bootstrap.core import open_core
    from coldchain.cli.playing import settings_to_play
    from coldchain.cli.profiles import check_profile
    from coldchain_devices.replay import read_recording
    from coldchain_ledger.fsck import fsck
    from coldchain_ledger.keys import parse_vkey

    since = time.monotonic()
    recording = read_recording(file)
    with open_core(settings_to_play(data, mqtt), create=True) as core:
        judged_by = None if profile == "none" else profile
        check_profile(core, judged_by)
        if profile is not None:
            _check_enrolled(core, recording.devices, judged_by)
        before = _telemetry_entries(core, recording)
        with tempfile.TemporaryDirectory(dir=core.settings.dir, prefix="replay-") as scratch:
            counts = _play(core, recording, Path(scratch), judged_by)
        admitted = _telemetry_entries(core, recording) - before
        report = fsck(core.store, parse_vkey(core.log.vkey))
    document = {
        "rows": len(recording.reports) + recording.empty,
        "empty": recording.empty,
        "published": len(recording.reports),
        "admitted": admitted,
        "duplicates": counts["answered"] - admitted,
        "refused": counts["refused"],
        "entries": report.entries,
        "fsck": report.ok,
        "seconds": round(time.monotonic() - since, 1),
    }
    data.show(document, _lines)
    if not report.ok or document["published"] != counts["answered"] + counts["refused"]:
        fail("the ledger does not hold what was published", BROKEN)


def _check_enrolled(core: Core, devices: Sequence[str], profile: str | None) -> None:
    """Raises CommandRefused for devices that an earlier run enrolled with another profile: it stays, and what is asked
    for would be ignored."""
    from coldchain.services.identity import CommandRefused

    known = {key.device: key.stated.get("profile") for key in core.registry.all() if key.device in devices}
    others = [f"{device} ({stated or 'none'})" for device, stated in sorted(known.items()) if stated != profile]
    if others:
        raise CommandRefused(
            f"--profile {profile or 'none'}: enrolled with another one, which stays, are {', '.join(others)}: "
            "leave the option out, or replay into another directory"
        )


def _play(core: Core, recording: Recording, scratch: Path, profile: str | None) -> dict[str, int]:
    from coldchain.bootstrap.enrol import admit_devices
    from coldchain.cli.playing import broker_of, public_text, wait_for
    from coldchain.services.identity import Enrolment
    from coldchain_devices.outbox import Outbox
    from coldchain_devices.publisher import Publisher
    from coldchain_devices.replay import load_keys

    folder = core.settings.dir / "replay"
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = load_keys(folder, recording.devices)
    counts = {"answered": 0, "refused": 0}
    outbox = Outbox(scratch / "outbox.db", synchronous="OFF")  # the recording itself is the durable copy
    with ExitStack() as stack:
        stack.callback(outbox.close)
        broker = stack.enter_context(broker_of(core))
        credentials = admit_devices(
            core,
            [
                Enrolment(
                    org=ORG,
                    site="recording",
                    device=device,
                    alg=keys[device].alg,
                    public_key=public_text(keys[device]),
                    grade="transport",
                    profile=profile,
                    time_floor_us=recording.first_us,
                )
                for device in recording.devices
            ],
        )
        seen: set[tuple[str, int, int]] = set()
        publishers = []
        for device in recording.devices:
            account = credentials[device]
            publisher = Publisher(
                broker,
                account.username,
                account.password,
                account.client_id,
                ORG,
                "recording",
                device,
                outbox,
                on_ack=lambda boot, seq, _index, device=device: seen.add((device, boot, seq)),  # type: ignore[misc]
                on_nack=lambda *_: counts.__setitem__("refused", counts["refused"] + 1),
            )
            outbox.begin_boot(device)
            publisher.start()
            stack.callback(publisher.stop)
            publishers.append(publisher)
        _store(outbox, recording, keys)
        wait_for(publishers)
        counts["answered"] = len(seen)
    return counts


def _store(outbox: Any, recording: Recording, keys: Any) -> None:
    """Every signed row into the outbox, by device, in order."""
    from coldchain_devices.signer import Chain

    waiting: dict[str, list[Any]] = {}

    def store(device: str) -> None:
        chain = outbox.chain(device)
        signed = waiting.pop(device)
        outbox.put(device, chain, Chain(chain.boot, chain.seq + len(signed), b""), signed)

    for report, signed in recording.signed(keys):
        waiting.setdefault(report.device, []).append(signed)
        if len(waiting[report.device]) >= CHUNK:
            store(report.device)
    for device in list(waiting):
        store(device)


def _telemetry_entries(core: Core, recording: Recording) -> int:
    """Messages of these devices in the ledger."""
    from coldchain.db.queries_ledger import count_keys

    with core.engine.connect() as connection:
        return sum(count_keys(connection, f"tm/{device}/") for device in recording.devices)


def _lines(d: dict[str, Any]) -> Iterator[str]:
    yield f"{d['rows']} rows = {d['published']} published + {d['empty']} empty"
    parts = " + ".join(f"{d[name]} {name}" for name in ("admitted", "duplicates", "refused"))
    yield f"{d['published']} published = {parts}"
    yield f"{'✓' if d['fsck'] else '!'} fsck over {d['entries']} entries, {d['seconds']} s"
