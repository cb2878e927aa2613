"""`coldchain rules`: files are checked, compared, tried against what is stored, and recorded."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.dryrun import dry_run
from coldchain.cli.rules import command
from coldchain.db.tables.verdicts import verdict
from coldchain.services.chores import rule_entries
from coldchain.services.identity import CommandRefused
from coldchain.settings import load_settings
from opening import new_core
from web.story import HOUR, START, Clock, Sender, temperatures

PACK = """\
name = "CN-frozen"
version = 2
from_us = 0
clause = "test"
verified = false

[stages.transport]
clause = "test"
limit_mc = -18000
hysteresis_mc = 500
consecutive_s = 900
max_gap_s = 600

[stages.storage]
clause = "test"
limit_mc = -18000
hysteresis_mc = 500
consecutive_s = 3600
max_gap_s = 1800
"""


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    """Warm from 11:00 to 11:40 in a truck."""
    with new_core(load_settings(dir=tmp_path / "d"), clock=Clock(START + 24 * HOUR)) as core:
        for name in ("d1", "d2"):
            device = Sender(core, name, f"veh:{name}")
            core.admission.admit([device.message(temperatures(START + hour * HOUR, 60)) for hour in range(5)])
        core.settle(everything=True)
        yield core


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pack.toml"
    path.write_text(PACK)
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(command, [str(one) for one in args])


def answer(*args: object) -> Any:
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def changed(file: Path, old: str, new: str, count: int = 1) -> Path:
    file.write_text(file.read_text().replace(old, new, count))
    return file


def test_a_file_that_is_right_is_told_with_its_head(file: Path) -> None:
    found = answer("check", file)
    assert (found["name"], found["version"], found["cases"]) == ("CN-frozen", 2, 0)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "max_gap_s = 1800",
            "max_gap_s = 0",
            "pack.toml:19: CN-frozen storage: max_gap_s: expected a whole",
        ),
        (
            "limit_mc = -18000",
            "limit_mc = -18.0",
            "pack.toml:9: CN-frozen transport: limit_mc: expected a whole number",
        ),
        ("limit_mc", "limit", "pack.toml:9: CN-frozen transport: unknown fields limit"),
        ("version = 2", "version = ", "line 2"),
        ("version = 2", "", "CN-frozen: version: expected a whole number from 1 on, found None"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_field_and_line(file: Path, old: str, new: str, said: str) -> None:
    result = run("check", changed(file, old, new))
    assert result.exit_code == 2
    assert said in result.output


def test_lists_within_lists_without_end_are_a_wrong_file(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    result = run("check", deep)
    assert result.exit_code == 2
    assert "lists within lists" in result.output


def test_examples_in_a_file_are_judged(file: Path) -> None:
    case = '[[cases]]\nname = "n"\nstage = "storage"\nreadings = "0..60/20: -5"\nexpect = ["0- breach"]\n'
    file.write_text(PACK + case)
    assert answer("test", file) == {"cases": 1, "failed": []}
    result = run("test", changed(file, "0- breach", "0- in_range"))
    assert result.exit_code == 1
    assert "expected 0- in_range\n  found    0- breach" in result.output


def test_a_file_is_compared_with_what_the_ledger_has(core: Core, file: Path) -> None:
    directory = core.settings.dir
    items = answer("diff", "--dir", directory, "CN-frozen@1", file)["items"]
    assert {one["field"]: (one["old"], one["new"]) for one in items if "clause" not in one["field"]} == {
        "version": (1, 2),
        "stages.storage.consecutive_s": (2_700, 3_600),
    }
    assert run("diff", "--dir", directory, "CN-frozen@7", file).exit_code == 2


def test_a_dry_run_tells_what_recording_concludes_and_writes_nothing(core: Core, file: Path) -> None:
    stated = {"limit_mc": -21_000, "clause": "test", "hysteresis_mc": 0, "consecutive_s": 900, "max_gap_s": 600}
    pack = {"name": "CN-frozen", "version": 2, "clause": "test", "verified": False, "stages": {"transport": stated}}
    before, size = verdicts(core), core.follower.cursor()
    tried = dry_run(core, pack)
    assert (verdicts(core), core.follower.cursor()) == (before, size)
    core.record(rule_entries(core.log.origin, [pack])[0])
    core.follower.catch_up()
    after = verdicts(core)
    assert {one.kind for one in tried.changes} == {"new", "moved"}
    assert {(*one.before.lane, *one.before[1:4]) for one in tried.changes if one.before} == before - after
    assert {(*one.after.lane, *one.after[1:4]) for one in tried.changes if one.after} == after - before
    assert tried.same == len(before & after)


def verdicts(core: Core) -> set[tuple[Any, ...]]:
    c = verdict.c
    with core.engine.connect() as connection:
        rows = connection.execute(select(c.rule, c.subject, c.channel, c.from_us, c.to_us, c.verdict))
        return set(map(tuple, rows))


def test_a_dry_run_is_told_for_one_device_and_time(core: Core, file: Path) -> None:
    changed(file, "-18000", "-2000")
    directory = core.settings.dir
    everything = answer("dry-run", "--dir", directory, file)
    assert everything["totals"]["gone"] == 2
    assert {one["subject"] for one in everything["changes"]} == {"dev:d1", "dev:d2"}
    one = answer("dry-run", "--dir", directory, file, "--device", "d1", "--limit", "0")
    assert (one["changes"], one["totals"]["gone"]) == ([], 1)
    assert answer("dry-run", "--dir", directory, file, "--from", "2030-01-01T00:00:00Z")["changes"] == []
    assert run("dry-run", "--dir", directory, file, "--device", "nobody").exit_code == 2


def test_a_recorded_pack_judges_and_its_version_has_one_content(core: Core, file: Path) -> None:
    directory = core.settings.dir
    changed(file, "-18000", "-2000")
    found = answer("record", "--dir", directory, file)
    assert (found["key"], found["totals"]["gone"], found["status"]) == ("rules/CN-frozen/2", 2, "added")
    core.follower.catch_up()
    assert not [one for one in verdicts(core) if one[-1] == "breach"]
    assert answer("record", "--dir", directory, file)["index"] == found["index"]
    assert answer("dry-run", "--dir", directory, file)["changes"] == [], "the same again is no other rule"
    taken = refused(directory, changed(file, "-2000", "-3000"))
    assert taken == f"rules/CN-frozen/2 is entry {found['index']} already, with another content"
    assert "shipped with another content" in refused(directory, changed(file, "version = 2", "version = 1"))


def refused(directory: Path, file: Path) -> str:
    """What recording it is refused with, which a dry run says as well instead of a preview that never comes true."""
    dry, real = (run(name, "--dir", directory, file).exception for name in ("dry-run", "record"))
    assert (type(dry), str(dry)) == (CommandRefused, str(real))
    return str(real)


def test_a_profile_of_a_pack_nobody_knows_is_refused(core: Core, tmp_path: Path) -> None:
    directory, path = core.settings.dir, tmp_path / "own.toml"
    path.write_text(
        'kind = "profile"\nname = "own"\nversion = 1\nclause = "test"\nverified = false\n'
        '[[packs]]\npack = "CN-frozen"\n[[packs]]\npack = "Our-frozen"\n'
    )
    assert "own v1 names 'Our-frozen', which neither this ledger nor this release has" in refused(directory, path)
    assert not [one for one in answer("list", "--dir", directory)["items"] if one["name"] == "own"]
    core.log.append(rule_entries(core.log.origin, [{**tomllib.loads(PACK), "name": "Our-frozen"}]))
    assert answer("record", "--dir", directory, path)["status"] == "added"


def test_a_pack_that_says_nothing_of_its_beginning_is_listed(core: Core) -> None:
    stated = {name: value for name, value in tomllib.loads(PACK).items() if name != "from_us"}
    core.log.append(rule_entries(core.log.origin, [{**stated, "name": "Our-frozen"}]))
    (one,) = [one for one in answer("list", "--dir", core.settings.dir)["items"] if one["name"] == "Our-frozen"]
    assert one["from_us"] == 0
