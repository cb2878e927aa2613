"""`coldchain inspect`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click

from coldchain.cli.common import Data, data_options, fail
from coldchain.cli.exposure import exposure_lines

SHOWN = 40
"""Lines of a list on the screen; the document has more."""


@click.command()
@data_options
@click.option("--at", metavar="TIME", help="The moment to tell about (default: now), e.g. 2026-03-02T08:00:00Z.")
@click.option("--as-of", type=int, metavar="N", help="As believed when the ledger had N entries.")
@click.argument("id_", metavar="ID")
def command(data: Data, id_: str, at: str | None, as_of: int | None) -> None:
    """Everything known about one unit: where it was, what was in it, seals, handovers, verdicts with reasons.

    ID is a case, pallet, container, lot, seal, board, vehicle or room, in any spelling.
    """
    from coldchain.decoders.scans import named
    from coldchain.services.moments import moment_us

    name = named(id_)
    at_us = None if at is None else moment_us(at)
    with data.core() as core:
        core.catch_up_if_alone()
        document = core.inspect(name, at_us, as_of)
    if document is None:
        earlier = f" within its first {as_of} entries" if as_of is not None else ""
        fail(f"{id_!r} is named by no event of this ledger{earlier}; for a device: coldchain device show")
    data.show(document, _lines)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['id']}  {document['verdict'] or 'no verdict: nobody observed it on a pallet'}"
    at = f"at {document['at']}, " if document["at"] else ""
    grade = f"weakest evidence {document['weakest_grade']}" if document["weakest_grade"] else "no evidence of its own"
    yield f"  {at}from {document['ledger']['size']} ledger entries up to {document['ledger']['time']}; {grade}"
    yield from _who(document["identity"])
    yield from _where(document["position"])
    yield from _section("was in", (f"{_span(i)}  {i['parent']}{_through(i)}" for i in document["inside"]))
    yield from _section("goods", map(_amount, document["goods"]))
    yield from _section("balance", map(_balance, document["balance"]))
    yield from _section(
        "held by", (f"{_amount(h)}  in {h['parent'] or 'nothing'}{_place(h)}" for h in document["holders"])
    )
    yield from _section("seals", map(_seal, document["seals"]))
    yield from _section(
        "boards", (f"{_span(b)}  {b['load']} on {b['board']}, last seen {b['seen']}" for b in document["boards"])
    )
    yield from _section("handovers", map(_handover, document["handovers"]))
    yield from _section("segments", (_segment(s, document["id"]) for s in document["segments"]))
    yield from _section("verdicts", (line for verdict in document["verdicts"] for line in _verdict(verdict)))
    yield from _section("contradictions", map(_contradiction, document["contradictions"]))
    open_ = (f for f in document["findings"] if f["open"])
    yield from _section(
        "open findings", (f"{_span(f)}  {f['rule']}  {f['subject']}  {f['state']}, entry {f['entry']}" for f in open_)
    )
    yield from _section(
        "temperature",
        (
            f"{_span(t)}  {t['place']} {t['channel']}  {t['state']}{_how(t)}, {_calibration(t)}"
            for t in document["temperature"]
        ),
    )
    yield from _section("exposure", (line for one in document["exposure"] for line in exposure_lines(one)))
    yield from _section(f"history ({document['history_total']} events, newest first)", map(_event, document["history"]))
    yield from _section("what this does not say", document["limits"])


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Nothing for a part that is empty."""
    listed = [f"  {line.rstrip()}" for line in lines]
    if listed:
        yield ""
        yield title
        yield from listed[:SHOWN]
    if len(listed) > SHOWN:
        yield f"  … {len(listed) - SHOWN} more with --json"


def _who(identity: dict[str, Any]) -> Iterator[str]:
    said = [f"{name} {identity[name]}" for name in ("lot", "product", "producer") if identity[name]]
    said += [f"{word} {', '.join(identity[name])}" for name, word in _LINKS.items() if identity[name]]
    if said:
        yield "  " + ", ".join(said)


_LINKS = {"linked_from": "made from", "linked_to": "made into"}


def _where(position: dict[str, Any]) -> Iterator[str]:
    if position["chain"]:
        yield "  in " + ", in ".join(f"{one['parent']} since {one['since']}" for one in position["chain"])
    if seen := position["seen"]:
        yield f"  last seen {seen['time']} at {seen['place']} by {seen['by']}, entry {seen['entry']}"


def _span(item: dict[str, Any]) -> str:
    return f"{item['from']} – {item['to'] or 'now':<20}"


def _segment(segment: dict[str, Any], about: str) -> str:
    unit = "" if segment["unit"] == about else f"  {segment['unit']}"
    return f"{_span(segment)}  {segment['verdict']}{unit}  {segment['reason']}"


def _through(stay: dict[str, Any]) -> str:
    return f"  as part of {stay['through']}" if stay["through"] else ""


def _place(holder: dict[str, Any]) -> str:
    return f", in {holder['place']}" if holder["place"] not in (None, holder["parent"]) else ""


def _amount(amount: dict[str, Any]) -> str:
    measure = f" {amount['measure']}" if amount["measure"] else " cases"
    return f"{_between(amount['least'], amount['most'])}{measure} of {amount['item']}"


def _balance(one: dict[str, Any]) -> str:
    left = "".join(f", {amount} {step}" for step, amount in one["left"].items())
    held, missing = (_between(one[part]["least"], one[part]["most"]) for part in ("held", "missing"))
    return f"{one['measure'] or 'cases'}: {one['entered']} entered{left}, {held} held, {missing} missing"


def _between(least: float, most: float | None) -> str:
    if most is None:
        return f"{least} or more"
    return f"{least}" if least == most else f"{least} to {most}"


def _seal(link: dict[str, Any]) -> str:
    acts = "; ".join(
        " ".join(part for part in (f["act"], f["state"], f["time"], f"by {f['by']}, entry {f['entry']}") if part)
        for f in link["facts"]
    )
    issuer = f" of {link['issuer']}" if link["issuer"] else ""
    return f"{link['unit']}  {link['seal']}{issuer}: {acts}"


def _handover(one: dict[str, Any]) -> str:
    return (
        f"{one['shipped_at'] or '?'} – {one['received_at'] or '?'}  {one['giver'] or '?'} to {one['taker'] or '?'}:"
        f" {one['state']}"
    )


def _contradiction(one: dict[str, Any]) -> str:
    other = f" while in {one['other']}" if one["other"] else ""
    amounts = ""
    if one["stated"] is not None:
        amounts = f": {one['stated']} stated, {_between(one['least'], one['most'])} on record"
    return f"{_span(one)}  {one['rule']}  {one['item']} in {one['parent']}{other}{amounts}; entries {one['entries']}"


def _event(event: dict[str, Any]) -> str:
    said = f"{event['action'] or event['kind']} {event['step']} at {event['read_point'] or event['location'] or '?'}"
    counts = ", unentitled: moves nothing" if event["unentitled"] else ""
    return f"{event['time']}  {said} by {event['by']}, entry {event['entry']}, {event['grade']}{counts}"


def _how(segment: dict[str, Any]) -> str:
    """Why it is unknown; how cold or warm a breach was, and since when it is critical."""
    said = [segment["reason"]] if segment["reason"] else []
    said += ["too cold"] if segment["limit"] == "low" else []
    for word, field in (("warmest", "max_mc"), ("coldest", "min_mc")):
        said += [f"{word} {segment[field] / 1000:.1f} °C"] if segment[field] is not None else []
    said += [f"critical since {segment['critical']}"] if segment["critical"] else []
    return "".join(f", {one}" for one in said)


def _calibration(segment: dict[str, Any]) -> str:
    words = {
        "not_shown": "calibration not shown",
        "expired": "calibration expired on",
        "valid": "calibration valid until",
    }
    return " ".join(part for part in (words[segment["calibration"]], segment["certified_to"]) if part)


def _verdict(verdict: dict[str, Any]) -> Iterator[str]:
    """The rule with its version, what was found, who was asked until when, what is missing, on which entries."""
    detail = verdict["detail"]
    subject = " ".join(part for part in (verdict["subject"], verdict["channel"]) if part)
    yield f"{_span(verdict)}  {verdict['rule']}  {verdict['verdict']} ({verdict['state']})  {subject}"
    found = [f"{len(detail[name])} {name}" for name in ("missing", "extra") if detail.get(name)]
    asked = f"asked {detail['asked']}" if detail.get("asked") else ""
    due = f"until {verdict['due']}" if verdict["due"] else ""
    lacks = f"missing: {detail['lacks']}" if detail.get("lacks") else ""
    said = [*found, " ".join(part for part in (asked, due) if part), lacks, f"entries {verdict['entries'][:12]}"]
    yield f"    {'; '.join(part for part in said if part)}; {verdict['weakest_grade']}"
