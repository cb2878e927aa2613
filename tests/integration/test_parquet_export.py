"""Derived rows as Parquet files: read back by others, they say what the tables say."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.exports import export_parquet
from coldchain.bootstrap.secrets import SetupError
from coldchain.cli import group
from coldchain.cli.common import USAGE, told
from coldchain.db.queries_api import NotKnown
from coldchain.db.tables.events import event, finding
from coldchain.db.tables.telemetry import segment
from coldchain.projections.exported import Wanted
from coldchain.projections.series import readings
from coldchain.settings import load_settings
from opening import new_core
from web.story import DEVICE, HOUR, START, Clock, tell

FOREVER = 2**61
EVERYTHING = Wanted(0, FOREVER, None)
GUIDE = (Path(__file__).parents[2] / "docs" / "history.md").read_text()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    url = request.getfixturevalue("databases").take() if request.param == "postgresql" else ""
    clock = Clock(START)
    settings = load_settings(dir=tmp_path_factory.mktemp("parquet") / "data", database=url)
    with new_core(settings, clock=clock) as core:
        tell(core, clock)
        core.settle()
        yield core


def test_everything_read_back_is_what_the_tables_say(core: Core, tmp_path: Path) -> None:
    done = export_parquet(core, tmp_path / "lake", EVERYTHING)
    assert (done["ledger_size"], set(done["rows"])) == (
        core.log.edge().size,
        {"readings", "segments", "findings", "events"},
    )
    with core.engine.connect() as connection:
        said = [one for name in (DEVICE, "r1-ctl") for one in readings(connection, name, 0, FOREVER)]
        counts = [connection.scalar(select(func.count()).select_from(table)) for table in (segment, finding, event)]
    assert [done["rows"][name] for name in ("segments", "findings", "events")] == counts
    found = pq.read_table(tmp_path / "lake" / "readings" / "month=2026-03" / "readings.parquet")
    assert found.num_rows == done["rows"]["readings"] == len(said)
    rows = {(row["channel"], int(row["at"].timestamp() * 1e6), row["entry"]): row for row in found.to_pylist()}
    for one in said:
        row = rows[one.name, one.t_us, one.entry]
        assert (row["milli"], row["number"]) == (one.value, one.value / 1000)  # type: ignore[operator]  # temperatures
        assert (row["quality"], row["boot"], row["seq"]) == (one.quality, one.boot, one.seq)


def test_each_file_names_the_ledger_it_stands_on(core: Core, tmp_path: Path) -> None:
    export_parquet(core, tmp_path / "lake", EVERYTHING)
    for path in (tmp_path / "lake").rglob("*.parquet"):
        metadata = pq.read_schema(path).metadata
        assert metadata[b"coldchain.ledger_size"] == str(core.log.edge().size).encode()
        assert metadata[b"coldchain.log"] == core.log.origin.encode()
        assert b"coldchain.ledger_root" in metadata


def test_packed_cells_are_exported_as_loose_ones(core: Core, tmp_path: Path) -> None:
    export_parquet(core, tmp_path / "before", EVERYTHING)
    core.history.catch_up()
    export_parquet(core, tmp_path / "after", EVERYTHING)
    before, after = (
        sorted(map(repr, pq.read_table(next((tmp_path / name).rglob("readings.parquet"))).to_pylist()))
        for name in ("before", "after")
    )
    assert before == after


def test_a_time_and_a_device_are_exported_alone(core: Core, tmp_path: Path) -> None:
    wanted = Wanted(START + HOUR, START + 2 * HOUR, (DEVICE,))
    done = export_parquet(core, tmp_path / "lake", wanted)
    assert done["rows"].keys() == {"readings", "segments", "findings"}
    found = pq.read_table(tmp_path / "lake" / "readings" / "month=2026-03" / "readings.parquet").to_pylist()
    assert {row["device"] for row in found} == {DEVICE}
    assert len(found) == done["rows"]["readings"] == 2 * 60
    assert all(START + HOUR <= row["at"].timestamp() * 1e6 < START + 2 * HOUR for row in found)
    with pytest.raises(NotKnown, match="nobody"):
        export_parquet(core, tmp_path / "other", Wanted(0, FOREVER, ("nobody",)))


def test_a_name_that_nobody_knows_is_a_wrong_use_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, told(as_json=False):
        raise NotKnown("no device 'nobody'")
    assert (ended.value.code, capsys.readouterr().err) == (USAGE, "coldchain: no device 'nobody'\n")


def test_what_is_there_already_is_left_alone(core: Core, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with pytest.raises(SetupError, match="there already"):
        export_parquet(core, tmp_path / "lake", EVERYTHING)


def test_the_guides_queries_answer(core: Core, tmp_path: Path) -> None:
    export_parquet(core, tmp_path / "lake", EVERYTHING)
    queries = re.findall(r"^```sql\n(.+?)^```", GUIDE, re.M | re.S)
    assert len(queries) == 2
    with duckdb.connect() as connection:
        monthly, gaps = (connection.sql(query.replace("lake/", f"{tmp_path}/lake/")).fetchall() for query in queries)
    assert next(row for row in monthly if row[1] == DEVICE)[0] == "2026-03"
    assert next(row for row in monthly if row[1] == DEVICE)[4] == 40, "the box was warm for forty minutes"
    assert all(hours > 0 for *_, hours in gaps)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "data"
    with new_core(load_settings(dir=directory)):
        pass
    monkeypatch.delitem(sys.modules, "coldchain.papers.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    words = ["export", "parquet", "--dir", str(directory), "--out", str(tmp_path / "lake")]
    result = CliRunner().invoke(group, words)
    assert isinstance(result.exception, SetupError)
    assert "coldchain[parquet]" in str(result.exception)
    assert not (tmp_path / "lake").exists()
