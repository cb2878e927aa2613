"""`coldchain notify add|list|test|retry|remove`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldchain.cli.common import UNCHECKED, Data, data_options, fail

if TYPE_CHECKING:
    from coldchain.db.notices import SqlNotices
    from coldchain.services.notices import Channel


@click.group(name="notify")
def command() -> None:
    """Who is told of findings: channels by webhook and e-mail."""


@command.command()
@data_options
@click.argument("name")
@click.option("--webhook", metavar="URL", help="Post signed JSON there.")
@click.option("--email", metavar="ADDRESS", help="Write to one address, a list of your mail server's for several.")
@click.option("--severity", default="warning", metavar="WORD", help="At least warning (default), alarm or critical.")
@click.option("--rule", "rules", multiple=True, metavar="PREFIX", help="Rules whose name starts so; may be repeated.")
@click.option("--event", "events", multiple=True, help="raised, escalated, …; may be repeated (default: all).")
@click.option("--subject", default="", metavar="NAME", help="About this subject alone, e.g. dev:truck-7.")
@click.option("--place", default="", metavar="NAME", help="What happened in this vehicle or room, e.g. room:w1/a.")
@click.option("--org", default="", help="What concerns this organisation: its devices, its goods, questions to it.")
@click.option("--quiet", default="", metavar="FROM-TO", help="Hours in which only what is critical is told.")
@click.option("--zone", default="UTC", help="Time zone of these hours, e.g. Asia/Shanghai (default: UTC).")
@click.option("--per-hour", default=20, metavar="N", help="Messages an hour at most; the rest is one digest (20).")
@click.option(
    "--window", "window_s", default=60, metavar="SECONDS", help="What happens in a place within it is one (60)."
)
@click.option("--language", default="en", help="Of e-mails: en (default) or zh_Hans.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="First line: the secret a webhook's messages are signed with (default: a new one, shown once).",
)
def add(
    data: Data,
    name: str,
    webhook: str | None,
    email: str | None,
    secret_file: Path | None,
    **options: Any,
) -> None:
    """Add a channel. It is told of what is published from now on."""
    from coldchain.bootstrap.notices import add_channel
    from coldchain.db.notices import SqlNotices

    if (webhook is None) == (email is None):
        fail("expected either --webhook or --email")
    with data.core(create=True) as core:
        channel = _channel(name, webhook, email, secret_file, options, core.log.edge().size, core.clock())
        add_channel(core.settings, SqlNotices(core.engine), channel)
    shown = {"secret": channel.secret} if webhook is not None and secret_file is None else {}
    data.show({**_document(channel), **shown})


def _channel(
    name: str,
    webhook: str | None,
    email: str | None,
    secret_file: Path | None,
    options: dict[str, Any],
    since_entry: int,
    now_us: int,
) -> Channel:
    import secrets

    from coldchain.domain.notices import Selection
    from coldchain.services.notices import Channel

    wanted = Selection(**{field: options.pop(field) for field in Selection._fields})
    secret = ""
    if webhook is not None:
        secret = _first_line(secret_file) if secret_file else secrets.token_urlsafe(32)
        if len(secret) < 20:
            fail(f"{secret_file}: expected a secret of at least 20 characters in its first line")
    return Channel(
        name=name,
        kind="email" if webhook is None else "webhook",
        dest=str(webhook or email),
        wanted=wanted,
        since_entry=since_entry,
        created_us=now_us,
        secret=secret,
        **options,
    )


def _first_line(path: Path) -> str:
    try:
        return path.read_text("utf-8").partition("\n")[0]
    except UnicodeDecodeError as error:
        fail(f"{path}: expected text in UTF-8: {error}")


@command.command(name="list")
@data_options
def list_(data: Data) -> None:
    """Every channel: what it is told of, what it was told, what waits, and what nobody took."""
    from coldchain.db.notices import SqlNotices

    with data.core() as core:
        kept = SqlNotices(core.engine)
        items = [{**_document(channel), **_account(kept, channel.name)} for channel in kept.channels()]
    data.show({"items": items}, _lines)


@command.command()
@data_options
@click.argument("name")
def test(data: Data, name: str) -> None:
    """Send a message that tells of nothing, now, whatever the hour. Exit 3 where it is not taken."""
    from coldchain.bootstrap.notices import sender
    from coldchain.db.notices import SqlNotices
    from coldchain.db.queries_api import NotKnown
    from coldchain.services.notices import trial
    from coldchain.services.signed_posts import NotDelivered

    with data.core() as core:
        message = trial(core.log.origin, name, core.clock())
        try:
            sender(core.settings, core.log.origin)(SqlNotices(core.engine).channel(name), message, core.clock())
        except NotKnown as error:
            fail(str(error))
        except NotDelivered as error:
            fail(f"{name}: {error}", UNCHECKED)
    data.show({"name": name, "id": message.id, "sent": True})


@command.command()
@data_options
@click.argument("name")
@click.option("--id", "messages", multiple=True, help="This message alone, as `notify list` has it; may be repeated.")
def retry(data: Data, name: str, messages: tuple[str, ...]) -> None:
    """Have messages tried again at once: these, or all that were given up or wait for their next try."""
    from coldchain.db.notices import SqlNotices
    from coldchain.db.queries_api import NotKnown

    with data.core() as core:
        try:
            count, changes = SqlNotices(core.engine).retry(name, messages)
        except NotKnown as error:
            fail(str(error))
    data.show(
        {"name": name, "messages": count, "changes": changes},
        lambda d: iter([f"{d['name']}: the server tries {d['messages']} messages of {d['changes']} changes again"]),
    )


@command.command()
@data_options
@click.argument("name")
def remove(data: Data, name: str) -> None:
    """Remove a channel, and with it what it was still to be told."""
    from coldchain.db.notices import SqlNotices
    from coldchain.db.queries_api import NotKnown

    with data.core() as core:
        try:
            untold = SqlNotices(core.engine).remove(name)
        except NotKnown as error:
            fail(str(error))
    data.show({"removed": name, "untold": untold})


def _document(channel: Channel) -> dict[str, Any]:
    """Everything but the secret."""
    from coldchain.services.moments import rfc3339

    same = ("name", "kind", "dest", "quiet", "zone", "per_hour", "window_s", "language", "since_entry")
    wanted = channel.wanted._asdict() | {"rules": list(channel.wanted.rules), "events": list(channel.wanted.events)}
    return {**{name: getattr(channel, name) for name in same}, **wanted, "created_at": rfc3339(channel.created_us)}


def _account(kept: SqlNotices, name: str) -> dict[str, Any]:
    from coldchain.services.moments import rfc3339, rfc3339_or_none

    found = kept.account(name)
    failed = [
        {"id": row.id, "created_at": rfc3339(row.created_us), "changes": row.changes, "fault": row.fault}
        for row in found.failed
    ]
    return {
        "waiting": found.waiting,
        "sending": found.sending,
        "sent": found.sent,
        "last_sent_at": rfc3339_or_none(found.last_sent_us),
        "fault": found.fault,
        "failed": failed,
    }


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for item in document["items"]:
        hours = f"  quiet {item['quiet']} {item['zone']}" if item["quiet"] else ""
        yield f"{item['name']}  {item['kind']} {item['dest']}  {item['severity']} and above{hours}"
        last = f", the last {item['last_sent_at']}" if item["last_sent_at"] else ""
        waiting = f"{item['waiting']} changes wait, {item['sending']} messages are tried"
        yield f"  {item['sent']} messages sent{last}; {waiting}"
        if item["fault"]:
            yield f"  refused: {item['fault']}"
        for one in item["failed"]:
            yield f"  given up: {one['id']} of {one['created_at']}, {one['changes']} changes: {one['fault']}"
