"""Somebody else's servers: one that takes webhooks, one that takes mail. Real sockets, real TLS."""

from __future__ import annotations

import base64
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class WebhookReceiver:
    """Keeps what it is told, and answers as it is told to."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        """Of the next answers; 204 once there are none left."""
        self.answering = threading.Event()
        """Cleared: whoever tells it something waits."""
        self.answering.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
                receiver.answering.wait(60)
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/alarms"

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.told]

    def items(self) -> list[list[tuple[str, int]]]:
        """(finding, n) of each message, those that came again under the same key once."""
        by_key = {headers["idempotency-key"]: json.loads(body) for headers, body in self.told}
        return [[(item["id"], item["n"]) for item in body["items"]] for body in by_key.values()]


class MailReceiver(socketserver.ThreadingTCPServer):
    """RFC 5321 as far as a client needs it, with STARTTLS and AUTH PLAIN."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None, account: tuple[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.tls = tls
        self.account = account
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str, str]] = []
        self.encrypted: list[bool] = []
        self.data_answers: list[bytes] = []
        """To the next mails; 250 once there are none left."""

    @property
    def address(self) -> str:
        return f"localhost:{self.server_address[1]}"


class _Mail(socketserver.StreamRequestHandler):
    server: MailReceiver

    def handle(self) -> None:
        with suppress(ssl.SSLError):  # whoever does not trust our certificate leaves
            self._converse()

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _converse(self) -> None:
        self._sender = self._recipient = ""
        self._known = self.server.account is None
        self._secure = False
        self._say(b"220 mail.example.com")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if verb.upper() == "QUIT":
                self._say(b"221 bye")
                return
            self._take(verb.upper(), rest)

    def _take(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                extensions = [b"250-mail.example.com"]
                extensions += [b"250-STARTTLS"] if self.server.tls and not self._secure else []
                self._say(b"\r\n".join([*extensions, b"250 AUTH PLAIN"]))
            case "STARTTLS" if self.server.tls:
                self._say(b"220 go ahead")
                self.connection = self.server.tls.wrap_socket(self.connection, True, do_handshake_on_connect=False)
                self.connection.do_handshake()
                self.rfile.close()
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                self._secure = True
            case "AUTH":
                _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
                self._known = (user, password) == self.server.account
                self._say(b"235 welcome" if self._known else b"535 who are you")
            case "MAIL" if self._known:
                self._sender = rest
                self._say(b"250 ok")
            case "RCPT" if self._known:
                self._recipient = rest
                self._say(b"250 ok")
            case "DATA" if self._recipient:
                self._say(b"354 go on")
                self._receive()
            case "RSET" | "NOOP":
                self._say(b"250 ok")
            case _:
                self._say(b"503 not now")

    def _receive(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        answer = self.server.data_answers.pop(0) if self.server.data_answers else b"250 taken"
        self.server.encrypted.append(self._secure)
        self.server.envelopes.append((self._sender, self._recipient))
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.server.mails.append(mail)
        self._say(answer)

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """For localhost, signed by itself; the file is what whoever trusts it reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    file, private = directory / "cert.pem", directory / "key.pem"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, private)
    return context, file
