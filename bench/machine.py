"""What a run is to be judged by: the time processes took, and who else was on the cores."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes so far, threads included; one that has ended counts nothing."""
    return sum(_times().get(pid, ("", 0.0))[1] for pid in pids)


def load_average() -> float:
    return round(os.getloadavg()[0], 2)


class Neighbours:
    """Whoever else shared the cores since this was made."""

    def __init__(self) -> None:
        self._busy, self._ours = _busy_seconds(), _our_seconds()
        self._since, self._before = time.monotonic(), _times()

    def told(self) -> str:
        """Everybody's processor time but ours, the kernel's own included; and by name who took the most of it."""
        wall = time.monotonic() - self._since
        others = max(0.0, _busy_seconds() - self._busy - (_our_seconds() - self._ours))
        now = _times()
        took = [
            (seconds - self._before.get(pid, (name, 0.0))[1], name)
            for pid, (name, seconds) in now.items()
            if pid != os.getpid()
        ]
        named = ", ".join(f"{name} {seconds:.0f} s" for seconds, name in sorted(took, reverse=True)[:3] if seconds >= 1)
        share = others / wall / (os.cpu_count() or 1)
        return f"others took {others:.0f} core-seconds, {share:.0%}" + (f" ({named})" if named else "")


def _busy_seconds() -> float:
    """Of all cores: neither idle nor waiting for a disk."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(rest)) / TICKS


def _our_seconds() -> float:
    """Of this process and of all it has started and seen the end of."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


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
