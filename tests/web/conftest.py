"""One ledger with a story, made once, and a fresh app over it for each test."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from coldchain.bootstrap.core import Core, open_core
from coldchain.bootstrap.ports import app_ports
from coldchain.services.app_ports import AppPorts
from coldchain.settings import load_settings
from opening import new_core
from web.epcis_scene import Repository
from web.serving import Served
from web.story import END, START, Clock, Told, tell


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    directory: Path = tmp_path_factory.mktemp("web") / "data"
    clock = Clock(START)
    with new_core(load_settings(dir=directory), clock=clock) as core:
        tell(core, clock)
        yield Told(core, clock)


@pytest.fixture
def ports(told: Told) -> AppPorts:
    """Fresh access: no sessions, no codes, no counted failures."""
    return app_ports(told.core, lambda: None, lambda: "")


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    behind = Served()
    config = uvicorn.Config(behind, lifespan="off", log_config=None, ws="websockets-sansio", server_header=False)
    server = uvicorn.Server(config)
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # else asyncio leaves Nagle on, 40 ms an answer
        listener.bind(("127.0.0.1", 0))
        behind.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield behind
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(ports: AppPorts, served: Served) -> Iterator[httpx.Client]:
    """Nobody in particular."""
    served.stand_on(ports)
    with served.client() as client:
        yield client


@pytest.fixture
def operator(client: httpx.Client, told: Told) -> httpx.Client:
    """A program with the operator's token."""
    client.headers["authorization"] = f"Bearer {told.core.operator_token}"
    return client


@pytest.fixture(scope="session")
def story_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which the story was told, to be copied."""
    directory: Path = tmp_path_factory.mktemp("story") / "data"
    clock = Clock(START)
    with new_core(load_settings(dir=directory), clock=clock) as core:
        tell(core, clock)
        assert clock.now_us == END
    return directory


@pytest.fixture
def own_story(story_directory: Path, tmp_path: Path) -> Iterator[Core]:
    """A ledger of one's own after the story, for whoever records something."""
    directory = shutil.copytree(story_directory, tmp_path / "data")
    with open_core(load_settings(dir=directory), clock=Clock(END)) as core:
        yield core


@pytest.fixture(scope="session")
def empty_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which nothing happened yet, to be copied."""
    directory: Path = tmp_path_factory.mktemp("empty") / "data"
    with new_core(load_settings(dir=directory)):
        return directory


@pytest.fixture
def repository(empty_directory: Path, tmp_path: Path, served: Served) -> Iterator[Repository]:
    """An empty EPCIS repository of one's own, asked with the operator's token."""
    directory = shutil.copytree(empty_directory, tmp_path / "repository")
    with open_core(load_settings(dir=directory, webhooks_private=True)) as core:
        served.stand_on(core)
        headers = {"authorization": f"Bearer {core.operator_token}"}
        with served.client(headers=headers) as http:
            yield Repository(core, http)


@pytest.fixture
def visitor(client: httpx.Client, ports: AppPorts) -> httpx.Client:
    """A person's browser, signed in by a one-time link."""
    client.headers["accept"] = "text/html"
    assert client.get(f"/login?code={ports.access.issue_code()}").status_code == 200
    return client
