"""`coldchain doctor` names what is wrong, tells it from what it could not check, and changes nothing."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from coldchain.bootstrap.core import open_core, wall_clock
from coldchain.cli import checks, doctor
from coldchain.services.chores import canonical
from coldchain.settings import load_settings
from coldchain_ledger.keys import Ed25519Signer
from coldchain_ledger.log import Draft
from opening import new_core

A_NOTE = Draft("time", "test", "application/json", "time/1", "derived", (), canonical({"t_us": 1}))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A healthy data directory, its projections at the tip; any port will do for it."""
    monkeypatch.setenv("COLDCHAIN_HTTP", "127.0.0.1:0")
    monkeypatch.setenv("COLDCHAIN_MQTT", "127.0.0.1:0")
    monkeypatch.setattr(checks, "FREE_BYTES", 0)  # however full the disk is that the tests run on
    with new_core(load_settings(dir=tmp_path / "data")) as core:
        core.settle()
    return tmp_path / "data"


def run(directory: Path, *options: str) -> Result:
    return CliRunner().invoke(doctor.command, ["--dir", str(directory), *options])


def examined(directory: Path, *options: str, expect: int) -> dict[str, tuple[str, str]]:
    """Name -> (state, detail)."""
    result = run(directory, "--json", *options)
    assert result.exit_code == expect, result.output
    document = json.loads(result.stdout)
    assert document["ok"] == (expect == 0)
    return {check["name"]: (check["state"], check["detail"]) for check in document["checks"]}


def sql(directory: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(directory / "coldchain.db")) as db, db:
        db.execute(statement, values)


def test_a_healthy_directory_has_nothing_but_ticks(directory: Path) -> None:
    result = run(directory)

    lines = result.output.splitlines()
    assert result.exit_code == 0, result.output
    names = [line.split()[1] for line in lines]
    assert names == ["python", "directory", "database", "ledger", "projections", "broker", "server", "disk"]
    assert all(line.startswith("✓ ") for line in lines)


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    found = examined(tmp_path / "none", expect=1)

    assert found["directory"] == (
        "broken",
        f"{tmp_path}/none is no data directory: `coldchain migrate --dir {tmp_path}/none` makes one",
    )
    assert [found[name][0] for name in ("database", "ledger", "projections", "disk")] == ["unchecked"] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_others_can_read_is_named(directory: Path) -> None:
    key = directory / "secrets" / "log.key"
    key.chmod(0o644)
    state, detail = examined(directory, expect=1)["directory"]
    assert state == "broken"
    assert detail.endswith(f"chmod 600 {key}")

    key.chmod(0o600)
    (directory / "secrets").chmod(0o755)
    state, detail = examined(directory, expect=1)["directory"]
    assert state == "broken"
    assert detail.endswith(f"chmod 700 {directory}/secrets")


def test_a_database_that_does_not_answer_leaves_the_ledger_unchecked(
    directory: Path, free_port: Callable[[], int]
) -> None:
    found = examined(directory, "--database", f"postgresql://127.0.0.1:{free_port()}/x", expect=3)

    assert {name for name, (state, _) in found.items() if state == "unchecked"} == {"database", "ledger", "projections"}
    assert "Connection refused" in found["database"][1]


def test_a_file_that_is_no_database_is_broken(directory: Path) -> None:
    (directory / "junk").write_text("not a database at all" * 50)
    found = examined(directory, "--database", f"sqlite:///{directory}/junk", expect=1)
    assert found["database"][0] == "broken"


def test_a_schema_of_a_newer_version_is_told_with_both_and_not_to_be_migrated(directory: Path) -> None:
    sql(directory, "UPDATE alembic_version SET version_num = '9999'")
    found = examined(directory, expect=1)
    assert found["database"][1].startswith("schema 9999, this program's is ")
    assert "newer version" in found["database"][1]
    assert "migrate" not in found["database"][1]
    assert found["ledger"][0] == "unchecked"


def test_a_schema_of_an_older_version_opens_by_itself_and_is_looked_into_after_that(directory: Path) -> None:
    sql(directory, "UPDATE alembic_version SET version_num = '0001'")
    found = examined(directory, expect=3)
    assert found["database"][0] == "ok"
    assert "the next command or server brings it to this version's" in found["database"][1]
    assert [found[name][0] for name in ("ledger", "projections")] == ["unchecked"] * 2


def test_derived_tables_of_another_version_are_told_and_derived_again_without_help(directory: Path) -> None:
    sql(directory, "UPDATE projection_table SET fingerprint = 'old'")
    found = examined(directory, expect=3)
    assert (found["database"][0], "derived tables of another version" in found["database"][1]) == ("ok", True)
    with open_core(load_settings(dir=directory)) as core:
        core.settle()
    assert examined(directory, expect=0)["projections"][0] == "ok"


def test_a_tick_says_what_was_looked_at_and_what_was_not(directory: Path) -> None:
    sql(directory, "DROP TRIGGER append_only_entry_update")
    sql(directory, "UPDATE entry SET data = x'00' WHERE idx = 0")
    state, detail = examined(directory, expect=0)["ledger"]
    assert state == "ok"
    assert "the other entries were not read (`coldchain fsck` does)" in detail


def test_a_ledger_of_another_key_is_not_to_be_continued(directory: Path) -> None:
    key = directory / "secrets" / "log.key"
    key.write_bytes(Ed25519Signer.generate("another").private_pem())
    state, detail = examined(directory, expect=1)["ledger"]
    assert state == "broken"
    assert detail.startswith("newest checkpoint is not by the configured key")


def test_a_clock_behind_the_ledger_is_told(directory: Path) -> None:
    with open_core(load_settings(dir=directory), clock=lambda: wall_clock() + 3_600_000_000) as core:
        core.record(A_NOTE)
    state, detail = examined(directory, expect=1)["ledger"]
    assert state == "broken"
    assert "behind the newest entry" in detail


def test_entries_not_folded_yet_are_counted_and_no_fault(directory: Path) -> None:
    with open_core(load_settings(dir=directory)) as core:
        core.record(A_NOTE)
        size = core.log.edge().size
    state, detail = examined(directory, expect=0)["projections"]
    assert (state, detail.split(":")[0]) == ("ok", f"1 of {size} entries not folded yet")


@pytest.mark.parametrize("what", ["http", "mqtt"])
def test_a_port_in_use_is_named(directory: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv(f"COLDCHAIN_{what.upper()}", f"127.0.0.1:{port}")
        found = examined(directory, expect=1)
    assert found["server"] == ("broken", f"{what} cannot listen on 127.0.0.1:{port}: Address already in use")


def test_the_note_of_a_killed_server_is_not_believed(directory: Path) -> None:
    (directory / "server.json").write_text('{"http": "http://127.0.0.1:1", "mqtt": "mqtt://127.0.0.1:2"}')
    assert examined(directory, expect=0)["server"][1].startswith("none runs")


def test_an_external_broker_that_does_not_answer_is_not_checked(
    directory: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    monkeypatch.setenv("COLDCHAIN_MQTT", url)
    assert examined(directory, expect=3)["broker"] == ("unchecked", f"{url} does not answer: Connection refused")


def test_account_files_that_cannot_be_written_are_told(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDCHAIN_MQTT", "mqtt://127.0.0.1:1883")
    monkeypatch.setenv("COLDCHAIN_MOSQUITTO_PASSWORD_FILE", str(directory / "nowhere" / "passwords"))
    state, detail = examined(directory, expect=1)["broker"]
    assert (state, detail.split(":")[0]) == ("broken", f"{directory}/nowhere")


def test_a_disk_with_too_little_room_is_told(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "FREE_BYTES", 2**60)
    result = run(directory)
    assert result.exit_code == 1
    assert "\n! disk " in result.output
