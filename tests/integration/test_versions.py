"""Programs of two versions on one data directory: nobody's derived tables are made anew under him."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, text

from coldchain.bootstrap.core import Core, open_core
from coldchain.bootstrap.server import announced
from coldchain.cli import checks, group
from coldchain.db import migrate as migrate_module
from coldchain.db.tables.cursor import cursor
from coldchain.db.tables.telemetry import device
from coldchain.settings import Settings, load_settings
from coldchain_ledger.errors import StoreError
from web.story import START, Clock, Sender

NOTE = {"http": "http://127.0.0.1:9", "mqtt": "mqtt://127.0.0.1:9"}


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    return load_settings(dir=tmp_path / "d", database=url)


@pytest.fixture
def server(settings: Settings) -> Iterator[Core]:
    """Follows a ledger with one device, as a server does: it holds the lock and has said where it is."""
    with open_core(settings, create=True, clock=Clock(START)) as core, core.alone(), announced(settings.dir, NOTE):
        Sender(core, "d1", "veh:T1")
        core.settle()
        yield core


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on every program that starts is of a version that folds otherwise."""
    return lambda: monkeypatch.setattr(migrate_module, "FOLD_VERSION", migrate_module.FOLD_VERSION + 1)


def derived(core: Core) -> tuple[int | None, int | None]:
    with core.engine.connect() as connection:
        return (
            connection.scalar(select(func.min(cursor.c.next_index))),
            connection.scalar(select(func.count()).select_from(device)),
        )


def fingerprint(core: Core) -> str:
    with core.engine.connect() as connection:
        return str(connection.scalar(text("SELECT min(fingerprint) FROM projection_table")))


def test_a_newer_command_beside_a_server_resets_nothing_and_names_both_versions(
    server: Core, newer: Callable[[], None], tmp_path: Path
) -> None:
    before, old = derived(server), fingerprint(server)[:8]
    newer()
    where = ["--dir", str(server.settings.dir), "--database", str(server.settings.database_url)]
    for words in (["export", "parquet", "--out", str(tmp_path / "out")], ["finding", "list"], ["migrate"], ["serve"]):
        error = CliRunner().invoke(group, [*words, *where]).exception
        assert isinstance(error, StoreError), words
        assert "a server 0.1.0 of other tables is at work, this program is 0.1.0: derived" in str(error)
        assert f"derived tables of another version ({old}, this program's are " in str(error)
    assert not (tmp_path / "out").exists()
    assert derived(server) == before
    checked = checks.examine(server.settings)
    (database,) = [one for one in checked if one.name == "database"]
    assert (database.state, "stop it before you use this one" in database.detail) == ("broken", True)


def test_once_the_server_is_gone_the_newer_program_derives_everything_anew(
    settings: Settings, newer: Callable[[], None]
) -> None:
    clock = Clock(START)
    with open_core(settings, create=True, clock=clock) as core:
        Sender(core, "d1", "veh:T1")
        core.settle()
        before = derived(core)
    newer()
    with open_core(settings, clock=clock) as core:
        assert derived(core) == (None, 0)
        core.catch_up_if_alone()
        assert derived(core) == before


def test_who_opened_before_another_version_made_the_tables_anew_follows_no_more(
    settings: Settings, newer: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the older one would fold into them, the newer one would take for its own conclusions, for ever."""
    clock = Clock(START)
    with open_core(settings, create=True, clock=clock) as older:
        Sender(older, "d1", "veh:T1")
        with monkeypatch.context() as patch:
            patch.setattr(migrate_module, "FOLD_VERSION", migrate_module.FOLD_VERSION + 1)
            with open_core(settings, clock=clock):
                pass
        with pytest.raises(StoreError, match="was brought to another version meanwhile: derived tables of another"):
            older.catch_up_if_alone()
        assert derived(older) == (None, 0)


def test_several_newer_programs_that_start_at_once_reset_once(settings: Settings, newer: Callable[[], None]) -> None:
    with open_core(settings, create=True):
        pass
    newer()

    def start(_: int) -> str:
        with open_core(settings) as core:
            return fingerprint(core)

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(start, range(4)))) == 1


def test_a_server_of_before_says_its_tables_where_it_does_not_say_its_version(
    server: Core, newer: Callable[[], None]
) -> None:
    (server.settings.dir / "server.json").write_text(json.dumps(NOTE))
    newer()
    with pytest.raises(StoreError, match="a server or command of other tables is at work"), open_core(server.settings):
        pass
