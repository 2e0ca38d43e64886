from __future__ import annotations

import os
import subprocess
import sys
import time

from latentnas.campaign.workers import GRACE_SECONDS, Worker, is_alive


def test_a_worker_lives_until_it_retires_or_is_forgotten() -> None:
    worker, other = Worker(), Worker()
    assert worker.id != other.id
    assert is_alive(worker.id, None) and is_alive(other.id, None)
    worker.retire()
    assert not is_alive(worker.id, None)
    name = other.id
    del other
    assert not is_alive(name, None)


def test_processes_of_this_host_are_looked_up() -> None:
    host = Worker().id.rsplit(":", 3)[0]
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with open(f"/proc/{process.pid}/stat") as stat:
        start = stat.read().rpartition(")")[2].split()[19]  # starttime is field 22 of stat, the state is field 3
    name = f"{host}:{process.pid}:{start}:0"
    try:
        assert is_alive(name, None)
        assert not is_alive(f"{host}:{process.pid}:{int(start) - 1}:0", time.time()), "a recycled pid"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(name, time.time()), "a zombie is dead"
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
    assert not is_alive(name, time.time())


def test_workers_of_other_hosts_live_while_they_are_heard_of() -> None:
    name = "elsewhere.example:1:1:0"
    assert is_alive(name, time.time())
    assert not is_alive(name, time.time() - GRACE_SECONDS - 1)
    assert not is_alive(name, None)
