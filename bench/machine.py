"""What a run is to be judged by: the time processes took, and who else was on the cores."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
NOTABLE_S = 0.5
"""Processor time from which another process is named as a neighbour."""


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes so far, threads included; one that has ended counts nothing."""
    return sum(_times().get(pid, ("", 0.0))[1] for pid in pids)


def load_average() -> float:
    return round(os.getloadavg()[0], 2)


class Neighbours:
    """Processes that were there before us and took processor time since: whoever else shared the cores."""

    def __init__(self) -> None:
        self._before = _times()

    def told(self) -> str:
        now = _times()
        took = [
            (now[pid][1] - before, name)
            for pid, (name, before) in self._before.items()
            if pid in now and pid != os.getpid() and now[pid][1] - before >= NOTABLE_S
        ]
        new = [(seconds, name) for pid, (name, seconds) in now.items() if pid not in self._before and _foreign(pid)]
        took += [(seconds, name) for seconds, name in new if seconds >= NOTABLE_S]
        return ", ".join(f"{name} {seconds:.0f} s" for seconds, name in sorted(took, reverse=True)[:5]) or "nobody"


def _foreign(pid: int) -> bool:
    """Whether the process is not of our session: none that this run started."""
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:
        return False


def _times() -> dict[int, tuple[str, float]]:
    """Name and processor seconds of every process."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue  # it ended meanwhile
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        found[int(entry.name)] = (name, (int(fields[11]) + int(fields[12])) / TICKS)
    return found
