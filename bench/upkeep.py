"""What it costs to follow the ledger with temperature judged, and without.

The same entries of trucks that report 20 readings each minute, two trucks in a hundred too warm, are read back, decoded
and folded by every projection into an empty database; on the other side nothing is judged. Signatures were checked when
the entries were recorded: with them, the share of judging would look smaller. Counted in processor time: one thread
does it all, and neighbours move it less than the time on the wall.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.fleet import PROBES
from bench.rows import Row
from coldchain.bootstrap.core import Core, open_core
from coldchain.db.engine import make_engine
from coldchain.db.migrate import migrate
from coldchain.decoders.recorded import decode_recorded
from coldchain.projections import all_projections
from coldchain.projections.follow import Follower
from coldchain.projections.telemetry import TelemetryViews
from coldchain.projections.temperature import Temperature
from coldchain.services.identity import Enrolment, enrol
from coldchain.services.messages import Inbound
from coldchain.services.ports import Projection
from coldchain.settings import load_settings
from coldchain_devices.senml import Reading, pack
from coldchain_devices.signer import Chain, DeviceKey, seal

START_S = 1_735_689_600
"""2025-01-01T00:00:00Z"""
MOST = 1.25
"""Times as long as without."""


class _Nothing:
    """Loads what there is and judges none of it."""

    def __init__(self, judge: Temperature) -> None:
        self._judge = judge

    def apply(self, *_: object) -> None:
        """Nothing is judged."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._judge, name)


class _Unjudged(TelemetryViews):
    def reset(self) -> None:
        super().reset()
        self._temperature: Any = _Nothing(Temperature())


def rows(trucks: int, each: int, pairs: int) -> list[Row]:
    """Entries a second with judging; the ratio of times, the median of the pairs."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as name:
        directory, times = Path(name), [START_S]
        with open_core(load_settings(dir=directory / "d"), create=True, clock=lambda: times[-1] * 1_000_000) as core:
            _record(core, trucks, each, times)
            taken: dict[bool, list[float]] = {True: [], False: []}
            for pair in range(pairs):
                for judging in (True, False) if pair % 2 else (False, True):
                    taken[judging].append(_follow(core, directory / f"{pair}{judging}.db", judging))
    ratios = [on / off for on, off in zip(taken[True], taken[False], strict=True)]
    ratio, messages = statistics.median(ratios), trucks * each
    on, off = (messages / statistics.median(taken[judging]) for judging in (True, False))
    note = f"{messages:,} messages of {trucks:,} trucks; pairs {min(ratios):.2f}-{max(ratios):.2f}"
    target = f"{MOST:.2f} times the time"
    return [
        Row("following, temperature judged", on, "messages/s", "not judged", off, ratio, target, ratio <= MOST, note)
    ]


def _record(core: Core, trucks: int, each: int, times: list[int]) -> None:
    """Each truck reports once a minute, all of them in turn; times: what the clock says comes last."""
    keys = [DeviceKey.derive(b"bench upkeep %d" % truck) for truck in range(trucks)]
    core.log.append([enrol(core.registry, "operator", _enrolment(n, key))[1] for n, key in enumerate(keys)])
    chains = [Chain(1, 0, b"")] * trucks
    for minute in range(each):
        times.append(START_S + minute * 60 + 60)
        batch = []
        for truck, key in enumerate(keys):
            body = pack(_readings(truck, minute))
            signed, chains[truck] = seal(key, f"truck-{truck}#1", chains[truck], body, "senml+json")
            batch.append(Inbound(f"cc/v1/bench/fleet/truck-{truck}/up", signed.jws))
        assert all(reply is not None and reply.kind == "ack" for reply in core.admission.admit(batch))


def _readings(truck: int, minute: int) -> Sequence[Reading]:
    base, t_s = (-12 if truck % 50 == 0 else -21), START_S + minute * 60
    said = [
        Reading(f"temp/{probe}", "Cel", t_s + 15 * step, base + (truck * 7 + minute * 3 + step + place * 11) % 40 / 20)
        for place, probe in enumerate(PROBES)
        for step in range(4)
    ]
    return [
        *said,
        Reading("rh/box", "%RH", t_s, 60 + (truck + minute) % 20),
        Reading("door/rear", "", t_s, (truck + minute) % 50 == 0),
        Reading("lat", "lat", t_s, 31 + truck % 100 / 50),
        Reading("lon", "lon", t_s, 121 + truck % 90 / 50),
    ]


def _follow(core: Core, path: Path, judging: bool) -> float:
    projections: list[Projection] = list(all_projections())
    if not judging:
        projections = [_Unjudged() if isinstance(one, TelemetryViews) else one for one in projections]
    engine = make_engine(f"sqlite:///{path}")
    migrate(engine)
    began = time.process_time()
    Follower(engine, core.store, projections, decode_recorded).catch_up()
    took_s = time.process_time() - began
    engine.dispose()
    return took_s


def _enrolment(truck: int, key: DeviceKey) -> Enrolment:
    public_key = b64encode(key.public_spki()).decode()
    return Enrolment("bench", "fleet", f"truck-{truck}", "EdDSA", public_key, place=f"veh:truck-{truck}")
