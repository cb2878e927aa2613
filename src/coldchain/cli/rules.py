"""`coldchain rules`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from coldchain.cli.common import BROKEN, Data, data_options, fail

HEAD = ("name", "version", "kind", "from_us", "verified", "clause")
"""What every pack says of itself, whatever it is about."""
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
MOST = 50


@click.group(name="rules")
def command() -> None:
    """Rule packs, profiles and continuity rules: versioned values with the clause they come from."""


@command.command(name="list")
@data_options
def list_(data: Data) -> None:
    """Rule packs in force in this ledger."""
    items = [{"from_us": 0, **{name: pack[name] for name in HEAD if name in pack}} for pack in _packs(data)]
    data.show({"items": items}, lambda d: (_line(pack) for pack in d["items"]))


@command.command()
@data_options
@click.argument("name")
def show(data: Data, name: str) -> None:
    """Every value of a pack, version by version."""
    packs = [pack for pack in _packs(data) if pack["name"] == name]
    if not packs:
        raise click.BadParameter(f"no rule pack {name!r} in this ledger: see `coldchain rules list`")
    data.show({"items": packs}, _lines)


@command.command()
@data_options
@click.argument("file", type=FILE)
def check(data: Data, file: Path) -> None:
    """Whether a file is a pack, profile or continuity rules; else the field and line at fault."""
    from coldchain.cli.rule_files import read_rules

    known = read_rules(file)
    document = {"kind": "temperature", **{name: known.stated[name] for name in HEAD if name in known.stated}}
    data.show({**document, "cases": len(known.cases)}, lambda d: iter([_line(d)]))


@command.command()
@data_options
@click.argument("file", type=FILE)
def test(data: Data, file: Path) -> None:
    """Judge the example cases in a pack's file or beside it (NAME.cases.toml). Exit 1 where one comes out otherwise."""
    from coldchain.cli.rule_files import read_rules
    from coldchain.domain.rulecases import failures
    from coldchain.domain.rulefields import RulePackError
    from coldchain.domain.rulepacks import RulePack
    from coldchain.rules import parse_document

    known = read_rules(file)
    pack = parse_document(known.stated)
    if not isinstance(pack, RulePack):
        fail(f"{file}: only temperature packs have cases")
    try:
        failed = failures(pack, known.cases)
    except RulePackError as error:
        fail(f"{file}: {error}")
    document = {"cases": len(known.cases), "failed": [dict(zip(_CASE, one, strict=True)) for one in failed]}
    data.show(document, _case_lines)
    if failed:
        raise SystemExit(BROKEN)


_CASE = ("name", "expected", "found")


@command.command()
@data_options
@click.argument("old")
@click.argument("new")
def diff(data: Data, old: str, new: str) -> None:
    """What differs, field by field. Each is a FILE, NAME or NAME@VERSION of this ledger; NAME is its newest version."""
    from coldchain.domain.rulechanges import differences

    before, after = (_either(data, one) for one in (old, new))
    items = [{"field": field, "old": was, "new": now} for field, was, now in differences(before, after)]
    data.show({"items": items}, lambda d: (f"{one['field']}: {one['old']} -> {one['new']}" for one in d["items"]))


@command.command(name="dry-run")
@data_options
@click.argument("file", type=FILE)
@click.option("--from", "from_", metavar="TIME", help="Only what changes from this time on.")
@click.option("--to", metavar="TIME", help="Only what changes before this time.")
@click.option("--device", help="Only the probes of this device.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=MOST, show_default=True, help="Changes printed; all count."
)
def dry_run(data: Data, file: Path, from_: str | None, to: str | None, device: str | None, limit: int) -> None:
    """Which verdicts would change if the file were recorded. Judges what is stored in a copy; nothing is written.

    Refuses what `rules record` would.
    """
    from coldchain.cli.rule_files import read_rules
    from coldchain.services.moments import moment_us

    known = read_rules(file)
    from_us = 0 if from_ is None else moment_us(from_)
    to_us = 2**62 if to is None else moment_us(to)
    with data.core() as core:
        _entry_of(core, known.stated)
        document = _tried(core, known.stated, device, from_us, to_us, limit)
    data.show(document, _change_lines)


@command.command()
@data_options
@click.argument("file", type=FILE)
def record(data: Data, file: Path) -> None:
    """Record a pack, profile or continuity rules: they judge from their `from_us` on, the past included. The operator's
    to do; a version recorded or shipped with another content is refused, and so is a profile of a pack nobody knows."""
    from coldchain.cli.rule_files import read_rules
    from coldchain.services.moments import rfc3339

    known = read_rules(file)
    with data.core() as core:
        draft = _entry_of(core, known.stated)
        document = _tried(core, known.stated, None, 0, 2**62, 0)
        outcome = core.record(draft)
    past = {"judged_from": rfc3339(known.stated.get("from_us", 0)), "totals": document["totals"]}
    data.show({"key": draft.key, "index": outcome.index, "status": outcome.status, **past}, _record_lines)


def _entry_of(core: Any, stated: dict[str, Any]) -> Any:
    """The draft that records these rules. Raises CommandRefused where nobody may: see `record`."""
    from coldchain.services.chores import rule_entries
    from coldchain.services.identity import CommandRefused

    name = f"{stated['name']} v{stated['version']}"
    if any(_same_version(one, stated) and one != stated for one in _shipped()):
        raise CommandRefused(f"{name} is shipped with another content: give a change a version of its own")
    (draft,) = rule_entries(core.log.origin, [stated])
    core.catch_up_if_alone()
    core.check_key(draft)
    if missing := _unknown_packs(core, stated):
        raise CommandRefused(
            f"{name} names {', '.join(map(repr, missing))}, which neither this ledger nor this release has:"
            " record the pack first"
        )
    return draft


def _unknown_packs(core: Any, stated: Mapping[str, Any]) -> list[str]:
    """Packs that a profile names and nobody knows: it would judge nothing where it chooses them."""
    from coldchain.db.queries_summary import rule_packs

    with core.engine.connect() as connection:
        known = {one["name"] for one in (*rule_packs(connection), *_shipped()) if one.get("kind") != "profile"}
    named = (one["pack"] for one in stated["packs"]) if stated.get("kind") == "profile" else ()
    return [pack for pack in named if pack not in known]


def _shipped() -> list[dict[str, Any]]:
    from coldchain.rules import shipped_documents

    return shipped_documents()


def _same_version(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one["name"], one["version"]) == (other["name"], other["version"])


def _tried(
    core: Any, stated: dict[str, Any], device: str | None, from_us: int, to_us: int, limit: int
) -> dict[str, Any]:
    from collections import Counter

    from coldchain.bootstrap.dryrun import dry_run
    from coldchain.db.queries_api import NotKnown

    try:
        tried = dry_run(core, stated, device)
    except NotKnown as error:
        fail(str(error))
    wanted = [one for one in tried.changes if one.from_us < to_us and (one.to_us is None or one.to_us > from_us)]
    totals = dict.fromkeys(("new", "gone", "moved", "graver", "milder"), 0) | Counter(one.kind for one in wanted)
    return {"changes": [_change(one) for one in wanted[:limit]], "totals": {**totals, "same": tried.same}}


def _change(one: Any) -> dict[str, Any]:
    from coldchain.services.moments import rfc3339, rfc3339_or_none

    spans = {
        side: None if told is None else {"from": rfc3339(told.from_us), "to": rfc3339_or_none(told.to_us)}
        for side, told in (("before", one.before), ("after", one.after))
    }
    verdict = (one.after or one.before).verdict
    return {"change": one.kind, **one.lane._asdict(), "verdict": verdict, **spans}


def _either(data: Data, named: str) -> dict[str, Any]:
    from coldchain.cli.rule_files import read_rules

    if (path := Path(named)).is_file():
        return {"kind": "temperature", **read_rules(path).stated}
    name, _, version = named.partition("@")
    found = [one for one in _packs(data) if one["name"] == name and version in ("", str(one["version"]))]
    if not found:
        fail(f"{named!r} is no file, and no pack or profile of this ledger: see `coldchain rules list`")
    return max(found, key=lambda one: int(one["version"]))


def _packs(data: Data) -> list[dict[str, Any]]:
    from coldchain.db.queries_summary import rule_packs

    with data.core() as core:
        core.catch_up_if_alone()
        with core.engine.connect() as connection:
            return rule_packs(connection)


def _line(pack: dict[str, Any]) -> str:
    verified = "verified" if pack["verified"] else "not verified"
    return f"{pack['name']} v{pack['version']}  {verified}  {pack['clause']}"


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for pack in document["items"]:
        yield _line(pack)
        yield from _values({name: value for name, value in pack.items() if name not in HEAD}, "  ")


def _values(stated: dict[str, Any], indent: str) -> Iterator[str]:
    for name, value in sorted(stated.items()):
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _values(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {value}"


def _case_lines(document: dict[str, Any]) -> Iterator[str]:
    for one in document["failed"]:
        yield f"✗ {one['name']}"
        yield f"  expected {', '.join(one['expected'])}"
        yield f"  found    {', '.join(one['found'])}"
    yield f"{document['cases'] - len(document['failed'])} of {document['cases']} cases come out as they say"


def _change_lines(document: dict[str, Any]) -> Iterator[str]:
    for one in document["changes"]:
        spans = " -> ".join(_span(one[side]) for side in ("before", "after") if one[side] is not None)
        yield f"{one['change']:6}  {one['rule']}  {one['subject']} {one['channel']}  {spans}"
    yield _totals(document["totals"])


def _span(told: Mapping[str, Any]) -> str:
    return f"{told['from']} to {told['to'] or 'now'}"


def _totals(totals: Mapping[str, int]) -> str:
    return "verdicts: " + ", ".join(f"{count} {kind}" for kind, count in totals.items())


def _record_lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['key']} is entry {document['index']}; it judges from {document['judged_from']} on"
    yield _totals(document["totals"])
