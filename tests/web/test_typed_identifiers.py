"""Wherever a person types or scans an identifier, every spelling of the pallet leads to the pallet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from coldchain.cli import group, main
from web.story import PALLET, Told

DIGITS = PALLET.removeprefix("sscc:")
SPELLINGS = [
    DIGITS,
    f"(00){DIGITS}",
    f"]C100{DIGITS}\x1d",
    f"(02)16901234500018(37)8(00){DIGITS}",
    f"https://id.gs1.org/00/{DIGITS}",
    "urn:epc:id:sscc:6901234.1500000002",
]
MISREAD = f"(00){DIGITS[:-1]}6"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_program_finds_the_pallet_by_any_spelling(operator: httpx.Client, spelling: str) -> None:
    for path in ("/v1/trace", "/v1/evidence"):
        assert operator.get(path, params={"id": spelling}).status_code == 200
    found = operator.get(f"/v1/units/{httpx.QueryParams({'': spelling})}".replace("/=", "/").replace("+", "%20"))
    assert found.json()["id"] == PALLET


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_person_is_led_to_the_pallet_by_any_spelling(visitor: httpx.Client, spelling: str) -> None:
    answer = visitor.get("/find", params={"id": spelling})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/units/{PALLET}")


@pytest.mark.parametrize("command", ["inspect", "trace"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_command_finds_the_pallet_by_any_spelling(told: Told, command: str, spelling: str) -> None:
    done = CliRunner().invoke(group, [command, spelling, "--json", "--dir", str(told.core.settings.dir)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["id"] == PALLET


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_dossier_is_asked_for_in_any_spelling(told: Told, tmp_path: Path, spelling: str) -> None:
    file = tmp_path / "dossier.jsonl"
    arguments = ["evidence", spelling, "--out", str(file), "--dir", str(told.core.settings.dir)]
    done = CliRunner().invoke(group, arguments)
    assert done.exit_code == 0, done.output
    assert file.stat().st_size > 0


def test_a_misread_scan_is_told_with_its_place(
    operator: httpx.Client, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = operator.get("/v1/trace", params={"id": MISREAD})
    assert answer.status_code == 422
    assert "at character 21: expected check digit 5" in answer.json()["detail"]
    with pytest.raises(SystemExit) as ended:
        main(["inspect", MISREAD, "--dir", str(told.core.settings.dir)])
    assert ended.value.code == 2
    assert (
        capsys.readouterr().err == f"coldchain: {MISREAD!r} at character 21: expected check digit 5 (GS1 modulo 10)\n"
    )


def test_help_and_plain_names_do_without_the_table_of_application_identifiers() -> None:
    program = (
        "import sys; from coldchain.decoders.scans import named; from coldchain.cli import group;"
        f"named({PALLET!r}); named({DIGITS!r}); group.main(['--help'], standalone_mode=False);"
        "print({'biip', 'stdnum'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
