"""Notifications, wired: who follows, where it is kept, and how it is sent."""

from __future__ import annotations

from sqlalchemy import Engine

from coldchain.bootstrap.mail import Mailer
from coldchain.bootstrap.webhooks import Webhooks
from coldchain.db.notices import SqlNotices
from coldchain.db.queries_notices import look
from coldchain.services.epcis_subscriptions import SubscriptionRefused
from coldchain.services.identity import CommandRefused
from coldchain.services.notices import Channel, Message, Notifier, Send, checked, signed_headers
from coldchain.services.ports import Clock
from coldchain.settings import Settings
from coldchain_ledger.store import Store


def sender(settings: Settings, origin: str) -> Send:
    """By webhook or by e-mail, as the channel says."""
    webhooks = Webhooks(private=settings.webhooks_private)
    mailer = Mailer(settings, origin)

    def send(channel: Channel, message: Message, now_us: int) -> None:
        if channel.kind == "webhook":
            webhooks.post(channel.dest, message.body.encode(), signed_headers(channel, message, now_us))
        else:
            mailer.send(channel, message)

    return send


def notifier(settings: Settings, engine: Engine, store: Store, origin: str, clock: Clock) -> Notifier:
    """clock: the wall clock, whatever the ledger's is."""
    return Notifier(
        SqlNotices(engine),
        lambda cursor, channels, now_us: look(engine, store, cursor, channels, now_us),
        sender(settings, origin),
        clock,
        origin,
    )


def add_channel(settings: Settings, kept: SqlNotices, channel: Channel) -> None:
    """The channel is told of what is published from its `since_entry` on. Raises CommandRefused."""
    checked(channel)
    if channel.kind == "webhook":
        try:
            Webhooks(private=settings.webhooks_private).check(channel.dest)
        except SubscriptionRefused as error:
            raise CommandRefused(f"webhook: {str(error).removeprefix('dest: ')}") from error
    elif not settings.smtp or not settings.smtp_from:
        raise CommandRefused("e-mail needs a mail server: set COLDCHAIN_SMTP and COLDCHAIN_SMTP_FROM")
    kept.add(channel)
