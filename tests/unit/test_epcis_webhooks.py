"""Who may be told over HTTP: nobody inside of the network the server stands in, unless the operator says so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from coldchain.bootstrap.webhooks import Webhooks
from coldchain.services.epcis_subscriptions import SubscriptionRefused, signed_headers
from coldchain.services.signed_posts import NotDelivered, signature

INSIDE = ["http://127.0.0.1/", "https://10.1.2.3/x", "http://192.168.1.1:8080/", "http://[::1]/", "http://[fd00::1]/"]
NEVER = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://224.0.0.1/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://255.255.255.255/",
]
NO_ADDRESS = [
    "ftp://8.8.8.8/",
    "file:///etc/passwd",
    "http:///x",
    "http://user:secret@8.8.8.8/",
    "http://8.8.8.8:99999/",
    "http://8.8.8.8/a b",
    "http://8.8.8.8/\r\nx: y",
    "//8.8.8.8/",
    "http://[::1",
    "",
]


@pytest.mark.parametrize("dest", [*INSIDE, *NEVER, *NO_ADDRESS])
def test_an_address_inside_or_none_is_refused(dest: str) -> None:
    with pytest.raises(SubscriptionRefused):
        Webhooks(private=False).check(dest)
    with pytest.raises(NotDelivered):
        Webhooks(private=False).post(dest, b"{}", {})


@pytest.mark.parametrize("dest", [*NEVER, *NO_ADDRESS])
def test_some_are_refused_whatever_the_setting(dest: str) -> None:
    with pytest.raises(SubscriptionRefused):
        Webhooks(private=True).check(dest)


@pytest.mark.parametrize("dest", ["http://8.8.8.8/hook?a=b", "https://[2001:4860:4860::8888]:8443/"])
def test_an_address_outside_is_taken(dest: str) -> None:
    Webhooks(private=False).check(dest)


@pytest.mark.parametrize("dest", INSIDE)
def test_the_operator_may_allow_what_is_inside(dest: str) -> None:
    Webhooks(private=True).check(dest)


def test_a_name_that_leads_inside_is_refused() -> None:
    with pytest.raises(SubscriptionRefused, match="webhooks_private"):
        Webhooks(private=False).check("http://localhost:8080/")


def test_a_name_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(SubscriptionRefused, match="cannot be looked up"):
        Webhooks(private=True).check("http://nowhere.invalid/")


def test_nobody_listening_is_not_delivered(free_port: Callable[[], int]) -> None:
    with pytest.raises(NotDelivered, match="127"):
        Webhooks(private=True).post(f"http://127.0.0.1:{free_port()}/", b"{}", {})


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n",
        b"not http at all\r\n\r\n",
        b"",
    ],
)
def test_only_2xx_is_delivered(reply: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(reply)

        receiver = threading.Thread(target=answer)
        receiver.start()
        with pytest.raises(NotDelivered):
            Webhooks(private=True).post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {})
        receiver.join()


def test_a_signature_is_over_time_and_body() -> None:
    headers = signed_headers("secret", b"{}", 1_772_438_400_000_000)
    assert headers["GS1-Signature"] == f"t=1772438400,v1={signature('secret', b'{}', 1772438400)}"
    assert signature("secret", b"{}", 1) != signature("secret", b"{}", 2)
    assert signature("secret", b"{}", 1) != signature("other", b"{}", 1)
    assert "GS1-Signature" not in signed_headers("", b"{}", 1)
