"""What a message about findings says to a person: a subject line and plain text, in their language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coldchain.web.formats import micros, utc
from coldchain.web.i18n import Words
from coldchain.web.reasons import Conclusion, title

SHOWN = 8
"""Units named of each finding; the finding's page has more."""


def notice_text(t: Words, body: Mapping[str, Any]) -> tuple[str, str]:
    """(subject line, text) of a message as `services.notices.message` makes it."""
    items = body["items"]
    if not items:
        return t("notice.trial"), t("notice.trial_text", origin=body["origin"], channel=body["channel"]) + "\n"
    first = items[0]
    about = first["places"][0] if first["places"] else first["subject"]
    what = f"{_title(t, first)}, {about}" if len(items) == 1 else t("notice.several", n=len(items), about=about)
    blocks = ["\n".join(_lines(t, item)) for item in items]
    last = t("notice.last", origin=body["origin"], channel=body["channel"], id=body["id"])
    return f"{_word(t, body['severity'])}: {what}", "\n\n".join([*blocks, last]) + "\n"


def _lines(t: Words, item: Mapping[str, Any]) -> Iterator[str]:
    subject = " ".join(part for part in (item["subject"], item["channel"]) if part)
    yield f"{_word(t, item['severity'])} · {_title(t, item)} · {subject}"
    happened = t(f"happened.{item['event']}")
    ended = f"{happened} {utc(item['published_at'])}" if item["state"] == "withdrawn" else t("time.lasting")
    until = utc(item["to"]) if item["to"] else ended
    yield f"  {happened} · {_word(t, item['verdict'])} ({_word(t, item['state'])}) · {utc(item['from'])} – {until} UTC"
    if item["places"]:
        yield f"  {', '.join(item['places'])}"
    if item["units_total"]:
        yield f"  {t('affected.units', n=item['units_total'])} {', '.join(item['units'][:SHOWN])}"
    yield f"  coldchain finding show {item['id']} · {t('finding.entry')} {item['index']}"


def _title(t: Words, item: Mapping[str, Any]) -> str:
    to_us = micros(item["to"]) if item["to"] else None
    about = (item["rule"], item["subject"], item["channel"], micros(item["from"]), to_us)
    return title(t, Conclusion(*about, item["verdict"], item["state"], item["detail"]))


def _word(t: Words, word: str) -> str:
    return t(f"status.{word}") if t.has(f"status.{word}") else word
