"""`coldchain finding list|show|ack`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from coldchain.cli.common import Data, data_options, fail

if TYPE_CHECKING:
    from coldchain.api.schemas import Finding

SHOWN = 200
SEVERITIES = click.Choice(["warning", "alarm", "critical"])


@click.group(name="finding")
def command() -> None:
    """What was concluded and published: the list, the life of one, and taking note of it."""


@command.command(name="list")
@data_options
@click.option("--status", type=click.Choice(["open", "settled", "current"]), default="open", help="Default: open.")
@click.option("--severity", type=SEVERITIES, help="As serious as that at least.")
@click.option("--rule", metavar="PREFIX", help="How the rule's name starts, e.g. P2 or CN-frozen.")
@click.option("--subject", metavar="NAME", help="About this subject alone, e.g. dev:truck-7.")
def list_(data: Data, status: str, severity: str | None, rule: str | None, subject: str | None) -> None:
    """Findings by their newest entry, the newest first; 200 at most."""
    from coldchain.api.answers import finding as answer
    from coldchain.db import queries_api as q
    from coldchain.db.queries_findings import standings

    wanted = q.FindingFilter(
        is_open={"open": True, "settled": False}.get(status), severity=severity, rule=rule, subject=subject
    )
    with data.core() as core:
        core.catch_up_if_alone()
        with core.engine.connect() as connection:
            rows, _ = q.findings(connection, wanted, None, SHOWN)
            known = standings(connection, (row.finding for row in rows))
    items = [{**_document(answer(row)), "acknowledged": known[row.finding]} for row in rows]
    data.show({"items": items}, lambda d: (_line(item) for item in d["items"]))


@command.command()
@data_options
@click.argument("finding", metavar="ID")
def show(data: Data, finding: str) -> None:
    """One finding: whom it affects, everything published of it, and who acknowledged it."""
    from coldchain.api.answers import finding_detail
    from coldchain.db.queries_api import NotKnown
    from coldchain.db.queries_findings import life_of, named_in

    with data.core() as core:
        core.catch_up_if_alone()
        try:
            with core.engine.connect() as connection:
                life = life_of(connection, finding)
        except NotKnown as error:
            fail(str(error))
        detail = finding_detail(life, named_in(core.store, life.newest.entry), core.sealed.open)
    data.show(_document(detail), _life)


@command.command()
@data_options
@click.argument("finding", metavar="ID")
@click.option("--comment", required=True, help="What was found or done; it goes into the ledger: no personal data.")
@click.option("--name", default="", help="Who you are. It is sealed: the ledger holds a digest.")
def ack(data: Data, finding: str, comment: str, name: str) -> None:
    """Acknowledge a finding, with a comment. It bears on no verdict; what escalates is to be acknowledged anew."""
    from coldchain.db.queries_api import NotKnown
    from coldchain.services.findings import Acknowledged
    from coldchain.services.principals import operator_principal

    with data.core() as core:
        core.catch_up_if_alone()
        try:
            outcome = core.acknowledge(operator_principal(core.log.origin), Acknowledged(finding, comment, name))
        except NotKnown as error:
            fail(str(error))
    data.show({"finding": finding, "index": outcome.index})


def _document(answer: Finding) -> dict[str, Any]:
    return answer.model_dump(by_alias=True)


def _line(item: dict[str, Any]) -> str:
    about = " ".join(part for part in (item["subject"], item["channel"]) if part)
    acknowledged = f"  {item['acknowledged']}" if item["acknowledged"] else ""
    said = f"{item['severity']:<8}  {item['verdict']} ({item['state']})"
    return f"{item['id']}  {said}  {item['rule']}  {about}  {_span(item)}{acknowledged}"


def _span(item: dict[str, Any]) -> str:
    """What lasts lasts until now; but one that was withdrawn before it ended was told of until then."""
    withdrawn = f"withdrawn {item['published_at']}" if item["state"] == "withdrawn" else "now"
    return f"{item['from']} – {item['to'] or withdrawn}"


def _told(item: dict[str, Any]) -> str:
    """As of the entry that said so, whatever is known by now."""
    return f"{item['from']} – {item['to'] or 'lasting'}"


def _life(document: dict[str, Any]) -> Iterator[str]:
    yield _line(document)
    affected = document["affected"]
    if affected is not None:
        more = "" if affected["units_all_counted"] else " or more"
        units = f"{affected['units_total']}{more} units  {', '.join(affected['units'][:8])}"
        yield f"  affected in {', '.join(affected['places']) or 'no place'}: {units}"
        for goods, measure, milli in affected["quantities"]:
            amount = "an unknown amount, in" if milli is None else f"at most {milli / 1000:g}"
            yield f"    {amount} {measure or 'cases'} of {goods}"
    for one in document["life"]:
        said = f"{one['event']}  {one['severity']}  {one['verdict']} ({one['state']})  {_told(one)}"
        yield f"  {one['published_at']}  {said}  entry {one['index']}"
    for one in document["acknowledgements"]:
        who = f"{one['by']} as {one['role']}" + (f", {one['name']}" if one["name"] else "")
        yield f"  {one['at']}  acknowledged by {who}: {one['comment']}  entry {one['index']}"
