"""However a command fails: one line on stderr, one document with --json, the exit code that applies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select, update

from coldchain.bootstrap.core import open_core
from coldchain.cli import COMMANDS, group, main
from coldchain.db.engine import make_engine, writing
from coldchain.db.migrate import lift_append_only
from coldchain.db.tables.ledger import entry
from coldchain.rules import shipped_documents
from coldchain.services.chores import rule_entries
from coldchain.settings import load_settings
from coldchain_devices.replay import COLUMNS
from coldchain_ledger.keys import Ed25519Signer
from coldchain_ledger.log import Draft
from coldchain_ledger.note import sign_note


def leaves() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        for sub, one in (getattr(command, "commands", None) or {"": command}).items():
            yield f"{name} {sub}".strip(), one


LEAVES = dict(leaves())


def ended(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    code = end.value.code or 0
    assert isinstance(code, int)
    return code, captured.out, captured.err


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """(exit code, message) of a command that fails with --json, which stderr has as well."""
    code, out, err = ended(capsys, *words, "--json")
    error = json.loads(out)["error"]
    assert error["code"] == code
    assert error["message"].splitlines()[0] in err
    return code, error["message"]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    directory = tmp_path / "ledger"
    with open_core(load_settings(dir=directory), create=True):
        pass
    return directory


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_refuses_an_unknown_option_in_one_document(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = refused(capsys, *words.split(), "--no-such-option")
    assert (code, "--no-such-option" in message) == (2, True)


def plausible(command: click.Command, file: Path) -> list[str]:
    """Arguments and options such a command needs to get as far as its data directory."""
    words = []
    for parameter in command.params:
        if not parameter.required:
            continue
        match parameter.type:
            case click.types.IntParamType():
                value = "0"
            case click.types.Choice() as choice:
                value = str(choice.choices[0])
            case click.Path():
                value = str(file)
            case _:
                value = "x"
        words += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
    return words


CREATES = {"demo", "serve", "migrate", "simulate", "replay", "doctor"}
"""Commands that make a data directory where there is none, or report that there is none."""


@pytest.mark.parametrize("words", sorted(LEAVES.keys() - CREATES))
def test_every_command_without_its_data_directory_fails_in_one_document(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "file.json"
    file.write_text("{}")
    here = [*words.split(), *plausible(LEAVES[words], file), "--dir", tmp_path / "none"]
    code, out, _ = ended(capsys, *here, "--json")
    document = json.loads(out)
    if code:  # one that needs no data directory may do its work
        assert document.keys() == {"error"}
        assert document["error"]["code"] == code in (2, 3)


def test_an_answer_that_is_not_ok_stays_the_only_document(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ledger / "secrets").chmod(0o755)
    code, out, _ = ended(capsys, "doctor", "--dir", ledger, "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


def edit(directory: Path, index: int) -> None:
    """Another byte in a stored entry, as somebody with the database in hand would."""
    engine = make_engine(load_settings(dir=directory).database_url)
    with writing(engine) as connection:
        lift_append_only(connection)
        stored = connection.scalar(select(entry.c.data).where(entry.c.idx == index))
        assert stored is not None
        connection.execute(update(entry).where(entry.c.idx == index).values(data=stored[:-1] + b"!"))
    engine.dispose()


def test_an_edited_ledger_is_broken_and_fsck_says_where(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, "fsck", "--dir", ledger, "--json")
    assert (code, json.loads(out)["ok"], json.loads(out)["first_bad"]) == (0, True, None)
    edit(ledger, 3)
    code, out, _ = ended(capsys, "fsck", "--dir", ledger, "--json")
    assert (code, json.loads(out)["ok"], json.loads(out)["first_bad"]["index"]) == (1, False, 3)
    code, out, _ = ended(capsys, "fsck", "--dir", ledger)
    assert (code, out.splitlines()[0]) == (1, "! broken: entry at entry 3")


def test_a_replay_into_an_edited_ledger_is_broken(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = ledger.parent / "log.csv"
    row = "0,Q,NONE,2016-08-08,14:39:{:02}" + ",1" * 14 + ",,\n"
    recording.write_text(",".join(COLUMNS) + "\n#\n" + "".join(map(row.format, range(3))))
    code, out, _ = ended(capsys, "replay", recording, "--dir", ledger, "--json")
    assert (code, json.loads(out)["fsck"]) == (0, True)
    edit(ledger, json.loads(out)["entries"] - 2)
    code, out, _ = ended(capsys, "replay", recording, "--dir", ledger, "--json")
    assert (code, json.loads(out)["duplicates"], json.loads(out)["fsck"]) == (1, 3, False)


def test_the_key_is_printed_as_whoever_checks_types_it(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_core(load_settings(dir=ledger)) as core:
        assert ended(capsys, "log", "key", "--dir", ledger) == (0, core.log.vkey + "\n", "")


def test_an_error_that_nobody_foresaw_could_not_check_and_keeps_its_traceback(
    ledger: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> None:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr("coldchain.bootstrap.core.create_log", breaks)
    code, out, err = ended(capsys, "log", "key", "--dir", ledger, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (3, 3)
    assert "Traceback" in err


def test_a_receipt_of_an_entry_that_is_not_there_or_into_a_folder_that_is_not_is_a_wrong_call(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = refused(capsys, "log", "receipt", "900", "--dir", ledger)
    assert (code, "no entry 900" in message) == (2, True)
    code, message = refused(capsys, "log", "receipt", "0", "--out", tmp_path / "none" / "r", "--dir", ledger)
    assert (code, "none" in message) == (2, True)
    assert ended(capsys, "log", "receipt", "0", "--out", tmp_path / "r", "--dir", ledger) == (0, "", "")
    assert (tmp_path / "r").read_text().startswith("c2sp.org/tlog-proof@v1\nindex 0\n")


def test_an_audit_needs_a_checkpoint_and_one_of_another_key_says_nothing(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = ended(capsys, "log", "checkpoint", "--dir", ledger, "--json")
    old = tmp_path / "old.note"
    old.write_text(json.loads(out)["checkpoint"])
    assert ended(capsys, "audit", "--since", old, "--dir", ledger, "--json")[0] == 0

    text = old.read_text().rsplit("\n\n", 1)[0] + "\n"
    (tmp_path / "other.note").write_bytes(sign_note(text, [Ed25519Signer.generate(text.split("\n", 1)[0])]))
    code, message = refused(capsys, "audit", "--since", tmp_path / "other.note", "--dir", ledger)
    assert (code, "not signed by the key of this ledger" in message) == (3, True)

    (tmp_path / "shopping.txt").write_text("milk\n")
    code, message = refused(capsys, "audit", "--since", tmp_path / "shopping.txt", "--dir", ledger)
    assert (code, "is no checkpoint" in message) == (2, True)
    assert refused(capsys, "audit", "--since", tmp_path / "missing", "--dir", ledger)[0] == 2


def test_an_audit_of_a_restored_or_rewritten_ledger_exits_1_and_says_which(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restored = tmp_path / "restored"
    shutil.copytree(ledger, restored)
    with open_core(load_settings(dir=ledger)) as core:
        core.log.append_index()
        size, note = core.log.edge().size, core.log.checkpoint()
    kept = tmp_path / "kept.note"
    kept.write_bytes(note)

    lasts = f"the first {size} of {size} entries are those of the older checkpoint"
    assert ended(capsys, "audit", "--since", kept, "--dir", ledger) == (0, f"✓ consistent: {lasts}\n", "")
    code, out, _ = ended(capsys, "audit", "--since", kept, "--dir", restored)
    assert (code, out.splitlines()[0]) == (1, f"! rollback: size was {size} and is {size - 1}")
    with open_core(load_settings(dir=restored)) as core:
        core.log.append([Draft("time", "test", "application/json", "time/other", "derived", (), b"{}")])
    code, out, _ = ended(capsys, "audit", "--since", kept, "--dir", restored, "--json")
    assert (code, json.loads(out)["result"]) == (1, "fork")


def test_a_profile_that_no_pack_has_is_refused_with_those_there_are(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    enrol = ["device", "enrol", "--dir", ledger, "--org", "o", "--site", "s", "--id", "d", "--public-key", key]
    code, message = refused(capsys, *enrol, "--profile", "CN-fozen")
    assert (code, "'CN-fozen'" in message, "CN-frozen" in message) == (2, True, True)
    with open_core(load_settings(dir=ledger)) as core:
        assert core.registry.latest("d") is None
        pack = next(stated for stated in shipped_documents() if stated["name"] == "CN-frozen")
        core.log.append(rule_entries(core.log.origin, [{**pack, "name": "house-rules"}]))
    assert ended(capsys, *enrol, "--profile", "house-rules", "--json")[0] == 0
