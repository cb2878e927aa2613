"""Run as a program: become another program that ends when the thread that started it ends.

    python -I -S diewithparent.py PARENT_PID PROGRAM [ARGUMENT …]

A child outlives a parent that is killed, and a second broker would then start on the same store. On Linux the kernel
prevents that (PR_SET_PDEATHSIG, kept across exec); elsewhere the store's lock, which the child inherits, at least keeps
the second broker out. Not a `preexec_fn`: Python code between fork and exec may deadlock in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit(f"the process {parent} that started {program} is gone")
    os.execv(program, [program, *arguments])  # noqa: S606 - our own broker, no shell


if __name__ == "__main__":
    main()
