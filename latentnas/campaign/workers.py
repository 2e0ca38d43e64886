"""Workers: the processes that evaluate a campaign's proposals, and how to tell that one is dead."""

from __future__ import annotations

import itertools
import os
import socket
import time
import weakref
from pathlib import Path

BEAT_SECONDS = 30.0
"""How often a worker says that it is alive."""

GRACE_SECONDS = 300.0
"""A worker that cannot be looked up on this host is dead when it was silent for longer than this."""

_COUNTER = itertools.count()
_LOADED = time.time()
_ACTIVE: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """This process's part in one campaign.

    Attributes:
        id: ``host:pid:start:n``. ``start`` is the start time of the process (in clock ticks since
            boot where /proc tells it, else the POSIX time at which this module was loaded), so that
            another process with a recycled pid is told apart; ``n`` counts workers in the process.
    """

    def __init__(self) -> None:
        host = socket.gethostname().replace(":", "_")
        self.id = f"{host}:{os.getpid()}:{_start_time(os.getpid()) or int(_LOADED)}:{next(_COUNTER)}"
        _ACTIVE.add(self)

    def retire(self) -> None:
        """Count as dead from now on."""
        _ACTIVE.discard(self)


def is_alive(worker_id: str, last_seen: float | None) -> bool:
    """Whether a worker may still be working.

    Processes of this host are looked up, so a killed one is known to be dead at once. Workers of
    other hosts (and of hosts without /proc) are alive while their last sign of life is fresh.

    Args:
        worker_id: :attr:`Worker.id`.
        last_seen: POSIX seconds of its last heartbeat; None where it never gave one.
    """
    host, pid, start, _ = worker_id.rsplit(":", 3)
    if host == socket.gethostname().replace(":", "_"):
        if int(pid) == os.getpid() and start == str(_start_time(os.getpid()) or int(_LOADED)):
            return any(worker.id == worker_id for worker in _ACTIVE)
        if Path("/proc/self/stat").exists():
            return _start_time(int(pid)) == start
    return last_seen is not None and time.time() - last_seen < GRACE_SECONDS


def _start_time(pid: int) -> str | None:
    """Start time of a process in clock ticks; None where it is gone, a zombie, or without /proc."""
    try:
        # The second field, the command, may contain spaces and brackets: count from its end.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
