"""A job's events as server-sent events (HTML standard, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from superpose.api.draining import unless_draining
from superpose.errors import AccessError, NotFoundError
from superpose.service import FINAL, Event, Principal, Service

__all__ = ["KEEP_ALIVE_S", "event_stream"]

KEEP_ALIVE_S = 10.0
_RETRY_MS = 1_000
_FINAL_KINDS = frozenset(map(str, FINAL))


async def event_stream(
    service: Service,
    principal: Principal,
    job_id: str,
    after: int,
    *,
    draining: asyncio.Event,
    check_access: Callable[[], object],
) -> AsyncIterator[bytes]:
    """The job's events with ``seq > after`` as they happen; ends after the one with a final status.

    While nothing happens a comment goes out every ``KEEP_ALIVE_S``, so that proxies keep the connection and we notice
    that a client has gone; the key is checked again then. A server that shuts down ends the stream; the client comes
    back with the id of its last event.

    Args:
        service: the service.
        principal: the caller.
        job_id: a job of the caller's project.
        after: last event that the client has.
        draining: set when the server shuts down.
        check_access: raises ``AccessError`` once the caller's key no longer counts.
    """
    last = after
    yield f"retry: {_RETRY_MS}\n\n".encode("ascii")
    while not draining.is_set():
        news = service.jobs.wait_events(principal, job_id, last, timeout_s=KEEP_ALIVE_S)
        found = await unless_draining(draining, news)
        if found is None:
            return
        for event in found:
            yield _frame(event)
            last = event.seq
            if event.kind in _FINAL_KINDS:
                return
        if found:
            continue
        try:
            check_access()
            job = await asyncio.to_thread(service.jobs.get, principal, job_id)
        except (AccessError, NotFoundError):
            return
        if job.status in FINAL:
            return
        yield b": keep-alive\n\n"


def _frame(event: Event) -> bytes:
    data = json.dumps(event.to_json(), separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n".encode("ascii")
