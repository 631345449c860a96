"""Sends what waits in the outbox: a thread of the server, with an event loop of its own.

A data directory has one server, so a message has one sender. It is taken out only when its receiver has answered 2xx
and that is written down; killed in between, the next server sends it again under the same id (at least once). No
webhook holds another up: each has a few requests under way at most, one that fails a single one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from superpose.errors import KeyFileError, StoreError
from superpose.service.nouns import Clock
from superpose.service.traces import trace_of
from superpose.service.webhooks.pending import Due, Pending
from superpose.service.webhooks.posting import Answer, post
from superpose.service.webhooks.rules import WebhookRules
from superpose.trust import read_root, secret_digest, sign_webhook, webhook_secret

__all__ = ["Sending"]

_log = logging.getLogger(__name__)

_PER_WEBHOOK: Final = 4
_AT_ONCE: Final = 256
_LOST: Final = "not sent: the root of webhooks' secrets is not the one with which this was made; rotate the secret"

T = TypeVar("T")


class Sending:
    """Sends messages while it is entered.

    Args:
        pending: the outbox.
        root_path: the file with the root of webhooks' secrets.
        rules: addresses and time limits.
        clock: the time of day, which messages carry.
        look_s: time between two looks into the outbox.
    """

    def __init__(self, pending: Pending, root_path: Path, rules: WebhookRules, *, clock: Clock, look_s: float) -> None:
        self._pending = pending
        self._root_path = root_path
        self._rules = rules
        self._clock = clock
        self._look_s = look_s
        self._under_way: dict[str, set[int]] = defaultdict(set)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="superpose-webhooks", daemon=True)
        self._store_threads = ThreadPoolExecutor(2, "superpose-outbox")

    def __enter__(self) -> Sending:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._store_threads.shutdown()

    def _run(self) -> None:
        asyncio.run(self._send_all())

    async def _send_all(self) -> None:
        sends: set[asyncio.Future[None]] = set()
        while not self._over.is_set():
            try:
                busy = {webhook_id: frozenset(numbers) for webhook_id, numbers in self._under_way.items()}
                found = await self._in_store(partial(self._pending.due, busy, _PER_WEBHOOK))
            except StoreError as error:
                _log.warning("looking for messages: %s", error.message)
                found = []
            except Exception as error:  # one bad look must not be the last
                _log.error("looking for messages: %s", trace_of(error))
                found = []
            for due in found[: max(0, _AT_ONCE - len(sends))]:
                self._under_way[due.webhook_id].add(due.number)
                sends.add(asyncio.ensure_future(self._send(due)))
            done: set[asyncio.Future[None]] = set()
            if sends:
                done, sends = await asyncio.wait(sends, timeout=self._look_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:  # after one has ended, look at once: its webhook may have more
                await asyncio.sleep(0 if sends else self._look_s)
        for send in sends:  # what is under way is sent again by the next server
            send.cancel()
        await asyncio.gather(*sends, return_exceptions=True)

    async def _send(self, due: Due) -> None:
        at, loop = self._clock(), asyncio.get_running_loop()
        began_s = loop.time()
        try:
            answer = await self._answer(due, int(at.timestamp()))
            seconds = loop.time() - began_s
            if answer.error is not None:
                _log.warning("webhook %s: %s: %s", due.webhook_id, due.message_id, answer.error)
            await self._in_store(partial(self._pending.tried, due, answer, at, seconds))
        except StoreError as error:  # it is sent again; its receiver knows it by its id
            _log.warning("webhook %s: %s not written down: %s", due.webhook_id, due.message_id, error.message)
            await asyncio.sleep(1.0)
        except Exception as error:
            _log.error("webhook %s: %s: %s", due.webhook_id, due.message_id, trace_of(error))
            await asyncio.sleep(1.0)
        finally:
            self._under_way[due.webhook_id].discard(due.number)

    async def _answer(self, due: Due, timestamp: int) -> Answer:
        try:
            root = read_root(self._root_path)
        except KeyFileError as error:
            return Answer(None, f"not sent: {error.message}")
        secrets = [webhook_secret(root, due.webhook_id, generation) for generation in due.generations]
        if secret_digest(secrets[0]) != due.secret_digest:
            return Answer(None, _LOST)
        body = due.body.encode()
        headers = {
            "webhook-id": due.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(sign_webhook(one, due.message_id, timestamp, body) for one in secrets),
        }
        rules = self._rules
        return await post(due.url, body, headers, networks=rules.networks, timeout_s=rules.timeout_s)

    async def _in_store(self, call: Callable[[], T]) -> T:
        """Call into the store in a thread of its own, which slow look-ups of names do not hold up."""
        return await asyncio.get_running_loop().run_in_executor(self._store_threads, call)
