"""Files another process reads while we change them."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coldchain.mqtt.errors import BrokerError


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """The path holds exactly `data`, durably. A crash at any line leaves the old file or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time is inside; the lock goes with the process that holds it."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def hang_up(pid_file: Path, program: str) -> bool:
    """Tell the running broker to read its files again; False when none runs. Raises BrokerError when we may not."""
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return False
    if not _is_running(pid, program):
        return False
    try:
        os.kill(pid, signal.SIGHUP)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise BrokerError(
            f"{program} (pid {pid}) runs as another user and cannot be told to reload: {error}"
        ) from error
    return True


def _is_running(pid: int, program: str) -> bool:
    """A pid file may outlive its process, and SIGHUP would end whoever has the number now."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == program
    except FileNotFoundError:
        return not Path("/proc/self/comm").exists()
