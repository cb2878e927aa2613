"""What was in a pallet at an instant, among a million cases; and what folding one more pallet costs there.

The database is filled by bulk inserts into the projection's own tables, as the projection would leave them: each case
in its pallet and its lot, one in twenty repacked on the way, each pallet through rooms and trucks one after the other.
Questions are about random pallets at random moments; the reference is the one query for the children, put straight to
SQLite.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from bench.rows import Row
from coldchain.db.bulk import append_rows, fetch
from coldchain.db.engine import make_engine, writing
from coldchain.db.migrate import migrate
from coldchain.db.queries_containment import amounts_at, contents_at, parents_at
from coldchain.db.queries_inspect import InspectQueries
from coldchain.db.tables.events import containment
from coldchain.domain.events import Event
from coldchain.projections.containment import Containment
from coldchain.projections.events import Events
from coldchain.projections.exposures import Exposures
from coldchain.services.inspect import inspect
from coldchain.services.recorded import Recorded
from coldchain_ledger.entry import Entry

ON_A_PALLET = 60
HOUR = 3_600_000_000
WHY = '["00000000000000000000000000000000"]'
STAYS = ("room:s1/a", "veh:T{truck}", "room:s2/a", "veh:T{truck}", "room:s3/a")
"""A day in each; then the pallet stays in the last."""
TARGET_MS = 10
_CHILDREN = (
    "SELECT child, from_us, to_us FROM containment WHERE parent = ? AND from_us <= ? AND (to_us IS NULL OR to_us > ?)"
)


def rows(cases: int, questions: int) -> list[Row]:
    """Milliseconds of one answer at a moment, and of folding one packing event of 60 cases."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        small, large = _filled(Path(directory) / "small", ON_A_PALLET), _filled(Path(directory) / "large", cases)
        pallets, chance = cases // ON_A_PALLET, random.Random(7)
        asked = [(chance.randrange(pallets), chance.randrange(24 * 6) * HOUR) for _ in range(questions)]
        with large.connect() as connection:
            bare = _timed(asked, lambda n, t: fetch(connection, _CHILDREN, _pallet(n), t, t))
            answers = _timed(asked, lambda n, t: _answer(connection, n, t))
            documents = _timed(asked[:50], lambda n, t: _document(connection, n, t))
        folds = [_fold_ms(engine, questions) for engine in (small, large)]
        for engine in (small, large):
            engine.dispose()
    p99 = statistics.quantiles(answers, n=100)[98]
    reference, middle = statistics.median(bare), statistics.median(answers)
    named = f"{cases:,} cases, contents with amounts and the chain around; p99 {p99:.2f} ms"
    return [
        Row(
            "containment at an instant", middle, "ms", "bare query of the children", reference, middle / reference,
            f"< {TARGET_MS} ms", middle < TARGET_MS, named,
        ),
        Row("inspection of a pallet", statistics.median(documents), "ms", note="the whole document, at an instant"),
        Row(
            "folding a packing event", folds[1], "ms", f"among {ON_A_PALLET} cases", folds[0], folds[1] / folds[0],
            note=f"{ON_A_PALLET} cases into a pallet, one event a batch, events and containment",
        ),
    ]  # fmt: skip


def _answer(connection: Connection, number: int, t_us: int) -> None:
    inside = contents_at(connection, _pallet(number), t_us)
    amounts_at(connection, [_pallet(number), *(one.child for one in inside)], t_us)
    chain = parents_at(connection, _pallet(number), t_us)
    assert len(inside) >= ON_A_PALLET - 3
    assert len(chain) == 1


def _document(connection: Connection, number: int, t_us: int) -> None:
    document = inspect(InspectQueries(connection), Exposures(connection), _pallet(number), t_us)
    assert document is not None
    assert len(document["contents"]) >= ON_A_PALLET - 3


def _timed(asked: list[tuple[int, int]], question: Callable[[int, int], Any]) -> list[float]:
    taken = []
    for number, t_us in asked:
        began = time.perf_counter()
        question(number, t_us)
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


def _filled(path: Path, cases: int) -> Engine:
    engine = make_engine(f"sqlite:///{path}.db")
    migrate(engine)
    with writing(engine) as connection:
        append_rows(connection, containment, sorted(_intervals(cases)))
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        count = connection.scalar(text("SELECT count(*) FROM containment WHERE parent LIKE 'lot:%'"))
    assert count == cases
    return engine


def _intervals(cases: int) -> Iterator[tuple[Any, ...]]:
    pallets, day = cases // ON_A_PALLET, 24 * HOUR
    for number in range(cases):
        pallet = number // ON_A_PALLET
        repacked = number % 20 == 0 and pallet + 1 < pallets
        yield _case(number), f"lot:16901234500018/L{pallet // 100}", 0, None, WHY
        yield _case(number), _pallet(pallet), 0, 3 * day if repacked else None, WHY
        if repacked:
            yield _case(number), _pallet(pallet + 1), 3 * day, None, WHY
    for pallet in range(pallets):
        for place, stay in enumerate(STAYS):
            until = None if place + 1 == len(STAYS) else (place + 1) * day
            yield _pallet(pallet), stay.format(truck=pallet // 30), place * day, until, WHY


def _fold_ms(engine: Engine, events: int) -> float:
    """Median of one batch, committed, each with one event of a new pallet."""
    projections, taken = (Events(), Containment()), []
    for number in range(events):
        children = tuple(f"case:16901234500018/N{number}-{one}" for one in range(ON_A_PALLET))
        one = Event(f"e{number}", "AggregationEvent", HOUR, "ADD", "packing", f"hu:bench/{number}", children)
        entry = Entry("event", "bench", 0, "application/json", f"ev/{number}", "declared", (), b"")
        began = time.perf_counter()
        with writing(engine) as connection:
            for projection in projections:
                projection.apply(connection, [Recorded(1, number, entry, events=(one,))], HOUR)
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken)


def _case(number: int) -> str:
    return f"case:16901234500018/{number:07d}"


def _pallet(number: int) -> str:
    return f"hu:warehouse/{number:06d}"
