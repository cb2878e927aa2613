"""Clients that send slowly, or never finish, hold a socket for a while and keep nobody else from being answered."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from websockets.sync.client import connect

from coldchain.bootstrap import patience


class Short(patience.Patient):
    head_s, body_s = 1.0, 2.0


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    app = FastAPI()

    @app.get("/")
    def worker() -> str:
        return "answered"

    @app.post("/")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.websocket("/socket")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    options: dict[str, Any] = {"ws": "websockets-sansio", "limit_concurrency": 100}
    config = uvicorn.Config(app, http=Short, lifespan="off", log_config=None, **options)
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


def ends(client: socket.socket) -> bytes:
    """What it still hears until the server has closed; the test's own time is up before never."""
    client.settimeout(20)
    heard = b""
    while part := client.recv(4096):
        heard += part
    return heard


def test_a_websocket_may_be_silent_for_longer_than_a_request(address: tuple[str, int]) -> None:
    with connect(f"ws://{address[0]}:{address[1]}/socket") as client:
        time.sleep(1.5 * Short.head_s)
        client.send("still here")
        assert client.recv(timeout=20) == "still here"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-Sl",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    ],
    ids=["nothing", "half a head", "half a second head", "half a body", "a body without end"],
)
def test_a_request_that_does_not_end_is_ended(address: tuple[str, int], sent: bytes) -> None:
    with socket.create_connection(address) as client:
        client.sendall(sent)
        heard = ends(client)
        assert heard.count(b"answered") == sent.count(b"\r\n\r\nGET")


def test_a_byte_now_and_then_buys_no_time(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client, pytest.raises(OSError, match=r"reset|Broken pipe"):
        client.sendall(b"GET / HTTP/1.1\r\n")
        for number in range(200):
            client.sendall(b"X-%d: 1\r\n" % number)
            time.sleep(0.05)


def test_while_many_dribble_others_are_answered(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        for _ in range(80):
            stack.enter_context(socket.create_connection(address)).sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-")
        for _ in range(10):
            assert httpx.get(f"http://127.0.0.1:{address[1]}/").json() == "answered"


def test_a_body_in_pieces_within_its_time_and_a_connection_used_again_are_fine(address: tuple[str, int]) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(4):
            time.sleep(0.1)
            yield b"piece"

    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as client:
        answers: list[Any] = [client.post("/", content=pieces()).json() for _ in range(2)]
        time.sleep(1.2)  # longer than a head may take: the time begins with its first byte
        assert [*answers, client.get("/").json()] == [20, 20, "answered"]
