"""The server as its operator runs it, and a device that knows nothing but the contract."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from coldchain_devices.signer import Chain, DeviceKey, seal
from e2e.serving import COLDCHAIN, Server, enrol, parse_ready, run


class Device:
    """Plain paho, no code of ours but the signature."""

    def __init__(self, server: Server, device: str, account: Any, key: DeviceKey) -> None:
        self.topic, self.kid, self.key = account["topic"], account["kid"], key
        self.chain = Chain(1, 0, b"")
        self.heard: list[tuple[str, Any]] = []
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, account["client_id"])
        self.client.username_pw_set(account["username"], account["password"])
        self.client.on_message = lambda _c, _d, m: self.heard.append(
            (m.topic.rpartition("/")[2], json.loads(m.payload))
        )
        self.client.connect(*server.mqtt)
        self.client.subscribe([(f"{self.topic}/ack", 0), (f"{self.topic}/nack", 0)])
        self.client.loop_start()

    def publish(self, celsius: float, t_s: float) -> bytes:
        body = json.dumps([{"n": "temp/box", "u": "Cel", "t": t_s, "v": celsius}]).encode()
        signed, self.chain = seal(self.key, self.kid, self.chain, body, "senml+json")
        self.client.publish(f"{self.topic}/up", signed.jws, qos=1)
        return signed.jws

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + 10
        while len(self.heard) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.heard) >= count, self.heard

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_a_device_enrols_beside_the_server_publishes_and_hears_where_its_message_is(server: Server) -> None:
    key = DeviceKey.generate()
    account = enrol(server.directory, key, "truck-7", "--place", "veh:TRUCK-7")
    assert {"device", "kid", "topic", "client_id", "username", "password"} == account.keys()
    device = Device(server, "truck-7", account, key)
    now_s = int(time.time())
    for minute in range(40):
        device.publish(-5.0, now_s - 60 * (40 - minute))
    deadline = time.monotonic() + 10
    while sum(1 + len(a.get("more", [])) for _, a in device.heard) < 40 and time.monotonic() < deadline:
        time.sleep(0.02)
    device.client.publish(f"{device.topic}/up", b"nonsense", qos=1)
    while device.heard[-1][0] != "nack" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert device.heard[-1][1]["reason"] == "malformed-jws"
    device.stop()
    rejects = run("rejects", "--dir", str(server.directory))
    assert rejects["total"] == 1
    assert rejects["items"][0]["device"] == "truck-7"
    assert {"id", "at", "topic", "device", "reason", "detail", "bytes", "sha256"} == rejects["items"][0].keys()
    assert breach_of(server, "dev:truck-7")["verdict"] == "breach"
    told = asked(server, "/metrics").decode().splitlines()
    assert {"# TYPE coldchain_mqtt_received_total counter", "# TYPE coldchain_mqtt_queue_messages gauge"} <= set(told)
    assert 'coldchain_mqtt_received_total{kind=""} 41.0' in told
    assert server.terminate() < 15
    assert run("fsck", "--dir", str(server.directory))["ok"]


def breach_of(server: Server, subject: str) -> Any:
    """The breach, as soon as the server's own interface shows it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for item in json.loads(asked(server, f"/v1/findings?subject={subject}"))["items"]:
            if item["verdict"] == "breach":
                return item
        time.sleep(0.1)
    raise AssertionError(f"no breach of {subject} is shown")


def asked(server: Server, path: str) -> bytes:
    """What the operator's token is answered."""
    token = run("token", "show", "--dir", str(server.directory))["token"]
    answer = httpx.get(f"{server.http}{path}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    return answer.content


def test_a_device_that_lost_its_password_gets_another_and_a_second_device_never_its_key(server: Server) -> None:
    key = DeviceKey.generate()
    first, second = (enrol(server.directory, key, "truck-7") for _ in range(2))
    assert first["kid"] == second["kid"] == "truck-7#1"
    assert first["password"] != second["password"]
    device = Device(server, "truck-7", second, key)
    device.publish(-20.0, time.time())
    device.wait(1)
    device.stop()
    with pytest.raises(AssertionError, match="enrolled as truck-7#1 already"):
        enrol(server.directory, key, "truck-8")


def test_a_revoked_device_is_cut_and_the_others_stay(server: Server) -> None:
    keys = {name: DeviceKey.generate() for name in ("truck-1", "truck-2")}
    devices = {n: Device(server, n, enrol(server.directory, key, n), key) for n, key in keys.items()}
    for device in devices.values():
        device.publish(-20.0, time.time())
        device.wait(1)
    stays = devices["truck-2"].client.is_connected
    assert run("device", "revoke", "truck-1", "--dir", str(server.directory))["account_closed"]
    deadline = time.monotonic() + 10
    while devices["truck-1"].client.is_connected() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not devices["truck-1"].client.is_connected()
    assert stays()
    devices["truck-2"].publish(-20.0, time.time())
    devices["truck-2"].wait(2)
    for device in devices.values():
        device.stop()


def test_the_ready_line_gives_both_addresses_and_port_0_chooses(tmp_path: Path) -> None:
    with closing(Server(tmp_path / "data", 0, 0)) as server:
        http, broker = parse_ready(server.start())
        assert not http.endswith(":0")
        assert not broker.endswith(":0")
        assert server.terminate() < 15
        assert server.process is not None
        assert server.process.returncode == 0
        assert server.broker_pids() == []


def test_it_ends_at_once_whoever_listens_or_still_sends(server: Server) -> None:
    token = run("token", "show", "--dir", str(server.directory))["token"]
    address = ("127.0.0.1", int(server.http.rpartition(":")[2]))
    head = f" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    with socket.create_connection(address, 10) as listening, socket.create_connection(address, 10) as sending:
        listening.sendall(f"GET /v1/findings/stream{head}\r\n".encode())
        assert b": listening" in heard_of(listening, b": listening")
        body = "Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        sending.sendall(f"POST /epcis/v2/capture{head}{body}".encode())
        assert b" 100 " in heard_of(sending, b"\r\n\r\n"), "the body is awaited"
        assert server.terminate() < 15
    assert server.process is not None
    assert server.process.returncode == 0
    assert '"level": "error"' not in server.log()


def heard_of(client: socket.socket, until: bytes) -> bytes:
    heard = b""
    while until not in heard and (part := client.recv(4096)):
        heard += part
    return heard


@pytest.mark.parametrize("taken", ["http", "mqtt"])
def test_a_taken_port_is_an_error_that_names_it(
    server: Server, tmp_path: Path, taken: str, free_port: Callable[[], int]
) -> None:
    port = int(server.http.rpartition(":")[2]) if taken == "http" else server.mqtt[1]
    other = {"http": "127.0.0.1:0", "mqtt": "127.0.0.1:0", taken: f"127.0.0.1:{port}"}
    done = subprocess.run(
        [COLDCHAIN, "serve", "--dir", str(tmp_path / "other"), "--http", other["http"], "--mqtt", other["mqtt"]],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_server_on_the_same_directory_is_refused(server: Server) -> None:
    done = subprocess.run(
        [COLDCHAIN, "serve", "--dir", str(server.directory), "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "another server" in done.stderr


def test_a_person_signs_in_with_a_link_that_works_once(server: Server) -> None:
    import urllib.request
    from http.cookiejar import CookieJar

    link = run("token", "link", "--dir", str(server.directory))["link"]
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with browser.open(link) as page, browser.open(server.http + "/") as board:
        assert (page.status, board.status) == (200, 200)
        assert "Open findings" in board.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(link)


def test_rebuild_beside_a_running_server_could_not_check(server: Server) -> None:
    run("rebuild", "--dir", str(server.directory), expect=3)


def test_a_broker_that_is_away_is_said_so_and_waited_for(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Pages and proofs need no broker; an operator learns at once, and from /healthz, that no message can come in."""
    import urllib.request

    url = f"mqtt://127.0.0.1:{free_port()}"
    with closing(Server(tmp_path / "data", free_port(), 0, "--mqtt", url, "--json")) as server:
        ready = json.loads(server.start())
        assert (ready["ready"], ready["mqtt"]) == (True, url)
        assert "Connection refused" in ready["mqtt_fault"]
        with pytest.raises(urllib.error.HTTPError, match="503") as unwell:
            urllib.request.urlopen(f"{server.http}/healthz")
        assert "Connection refused" in json.load(unwell.value)["detail"]
        with urllib.request.urlopen(f"{server.http}/log/checkpoint") as answer:
            assert answer.status == 200
        assert server.terminate() < 15


def test_a_server_that_waits_for_its_broker_ends_when_told(tmp_path: Path, free_port: Callable[[], int]) -> None:
    command = [COLDCHAIN, "serve", "--dir", tmp_path / "data", "--http", "127.0.0.1:0"]
    with subprocess.Popen([*command, "--mqtt", f"mqtt://127.0.0.1:{free_port()}"], stderr=subprocess.PIPE) as waiting:
        deadline = time.monotonic() + 20
        while not (tmp_path / "data" / "server.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        waiting.terminate()
        assert waiting.wait(15) == 0
        assert waiting.stderr is not None
        assert b"Traceback" not in waiting.stderr.read()
    assert not (tmp_path / "data" / "server.json").exists()
