"""Settings: documented, from three sources in one order, refused when unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from coldchain.settings import Settings, load_settings, parse_date_us

DOC = Path(__file__).parents[2] / "docs" / "settings.md"


def test_every_setting_is_documented_with_its_meaning() -> None:
    text = DOC.read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `COLDCHAIN_{name.upper()}` |" in text, f"docs/settings.md does not list {name}"
        assert field.description, f"{name} has no description"
        assert field.description in text, f"docs/settings.md describes {name} differently"


def test_every_documented_default_is_the_one_in_force() -> None:
    text = DOC.read_text()
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        assert f"| `COLDCHAIN_{name.upper()}` | {f'`{default}`' if default else '(empty)'} |" in text, name


def test_no_documented_setting_is_gone() -> None:
    listed = [line.split("`")[1] for line in DOC.read_text().splitlines() if line.startswith("| `COLDCHAIN_")]
    assert sorted(listed) == sorted(f"COLDCHAIN_{name.upper()}" for name in Settings.model_fields)


def test_options_win_over_environment_and_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coldchain.toml").write_text('http = "127.0.0.1:1"\nbatch_ms = 7\nqueue_bytes = 2097152\n')
    monkeypatch.setenv("COLDCHAIN_HTTP", "127.0.0.1:2")
    monkeypatch.setenv("COLDCHAIN_BATCH_MS", "8")
    settings = load_settings(dir=tmp_path, http="127.0.0.1:3", mqtt=None)
    assert (settings.http, settings.batch_ms, settings.queue_bytes) == ("127.0.0.1:3", 8, 2097152)


def test_the_directory_from_the_environment_names_the_file_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coldchain.toml").write_text("batch_ms = 7\n")
    monkeypatch.setenv("COLDCHAIN_DIR", str(tmp_path))
    assert load_settings().batch_ms == 7


def test_an_unknown_name_in_the_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "coldchain.toml").write_text("bach_ms = 7\n")
    with pytest.raises(ValidationError, match="bach_ms"):
        load_settings(dir=tmp_path)


def test_a_database_is_sqlite_in_the_directory_unless_named(tmp_path: Path) -> None:
    assert load_settings(dir=tmp_path).database_url == f"sqlite:///{tmp_path}/coldchain.db"
    assert load_settings(dir=tmp_path, database="postgresql://x/y").database_url == "postgresql://x/y"


def test_dates_become_midnight_utc() -> None:
    assert parse_date_us("2020-01-01") == 1_577_836_800_000_000
    with pytest.raises(ValueError, match="soon"):
        parse_date_us("soon")
