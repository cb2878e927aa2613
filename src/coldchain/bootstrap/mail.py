"""Notifications by e-mail: one message, one address, one word of the mail server that it has it."""

from __future__ import annotations

import json
import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime

from coldchain.bootstrap.brokers import parse_address
from coldchain.services.moments import datetime_of
from coldchain.services.notices import Channel, Message
from coldchain.services.signed_posts import NotDelivered
from coldchain.settings import Settings
from coldchain.web.i18n import load_words
from coldchain.web.notices import notice_text

TIMEOUT_S = 20.0
"""For each step of a conversation."""


class Mailer:
    """The mail server of the settings. The password goes to it alone, and never without TLS."""

    def __init__(self, settings: Settings, origin: str) -> None:
        self._settings = settings
        self._origin = origin
        self._words = load_words()

    def send(self, channel: Channel, message: Message) -> None:
        """The mail server said that it takes it. Raises NotDelivered."""
        settings = self._settings
        if not settings.smtp or not settings.smtp_from:
            raise NotDelivered("no mail server: settings smtp and smtp_from name one, and the sender")
        mail = self._mail(channel, message)
        try:
            server = self._connected()
            try:
                if settings.smtp_username:
                    server.login(settings.smtp_username, self._password())
                server.send_message(mail)
            finally:  # what is said after it took the message changes nothing
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()
                server.close()
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
            raise NotDelivered(f"{settings.smtp} answered {error.smtp_code} {said[:200]}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(f"{settings.smtp}: {type(error).__name__}: {str(error)[:200]}") from error

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        host, port = parse_address(settings.smtp, "smtp")
        if settings.smtp_tls == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        if settings.smtp_tls == "none" and settings.smtp_username:
            raise NotDelivered("the password of smtp_username goes over TLS alone: smtp_tls is none")
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        if settings.smtp_tls == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server

    def _password(self) -> str:
        file = self._settings.smtp_password_file
        if file is None:
            return self._settings.smtp_password.get_secret_value()
        try:
            return file.read_text().partition("\n")[0]
        except (OSError, ValueError) as error:
            raise NotDelivered(f"smtp_password_file: {type(error).__name__}") from error

    def _mail(self, channel: Channel, message: Message) -> EmailMessage:
        """The same each time it is sent, but for what the mail servers on its way add."""
        subject, text = notice_text(self._words[channel.language], json.loads(message.body))
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._settings.smtp_from, channel.dest, subject
        mail["Date"] = format_datetime(datetime_of(message.created_us))
        mail["Message-ID"] = f"<{message.id}@{self._settings.smtp_from.rpartition('@')[2] or 'localhost'}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["Coldchain-Log"] = self._origin
        mail.set_content(text)
        return mail
