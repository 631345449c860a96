"""A clock for leases that nobody sets: all processes of one machine share it, and it never jumps.

A lease measured with the time of day ends too soon when somebody sets the clock forward, and outlives its worker when
the clock is set back. So the store keeps, per boot of the machine, how far its monotonic clock lay from UTC when the
store was first opened; that clock plus this distance is the time for leases and pauses. It stands still while the
machine sleeps, so that a worker on a laptop that wakes up still holds its job.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, insert, select, update

from superpose.service.nouns import Clock, utc_now
from superpose.service.statuses import JobStatus
from superpose.service.store.database import Database
from superpose.service.store.tables import EPOCH, jobs, steady_clocks

__all__ = ["machine_boot", "steady_clock"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_boot() -> str | None:
    """What names this boot of the machine, and the time namespace we are in; None where the system does not tell."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None
    try:
        return f"{boot} {Path('/proc/self/ns/time').readlink()}"
    except OSError:  # a kernel without time namespaces
        return boot


def steady_clock(database: Database, *, clock: Clock = utc_now, boot: str | None = None) -> Clock:
    """A clock that all processes on this machine share through the store, for this boot of the machine.

    The first process of a new boot also ends what an earlier boot left: no lease of it has a worker any more, and its
    pauses are over.

    Args:
        database: the store.
        clock: the time of day, read once in a boot; returned itself where the system does not name its boots.
        boot: what names this boot; by default asked of the system.
    """
    boot = boot or machine_boot()
    if boot is None:
        return clock
    monotonic_us = time.monotonic_ns() // 1000
    with database.write() as connection:
        offsets = dict(connection.execute(select(steady_clocks.c.machine_boot, steady_clocks.c.offset_us)).all())
        if boot not in offsets:
            now = clock()
            offsets[boot] = (now - EPOCH) // timedelta(microseconds=1) - monotonic_us
            connection.execute(insert(steady_clocks).values(machine_boot=boot, offset_us=offsets[boot]))
            earlier = [name for name in offsets if name.split()[0] != boot.split()[0]]
            connection.execute(delete(steady_clocks).where(steady_clocks.c.machine_boot.in_(earlier)))
            if not any(name for name in offsets if name != boot and name not in earlier):
                connection.execute(
                    update(jobs).where(jobs.c.lease_expires_at.is_not(None)).values(lease_expires_at=now)
                )
                queued = jobs.c.status == str(JobStatus.QUEUED)
                connection.execute(update(jobs).where(queued).values(not_before_at=None))
    offset = timedelta(microseconds=offsets[boot])

    def read() -> datetime:
        """UTC as it was when the store was first opened in this boot, and the time since."""
        return EPOCH + offset + timedelta(microseconds=time.monotonic_ns() // 1000)

    return read
