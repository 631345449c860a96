"""The CPU budget of a machine: how many threads may predict, train and run programs at once, in all processes.

A token is a file with a lock; who holds the lock may run one thread. Locks end with their process, however it ends, so
no token is ever lost. A worker takes tokens before it takes a job. One that has more than it needs gives them up as
soon as another waits, and takes free ones when nobody does: results do not depend on it, because the engine's do not
depend on its number of threads, and torch, BLAS and OpenMP run on one thread each.

Endpoints go first: a server that works takes its tokens before any worker gets another (``serving/server_share.py``),
and predictions never wait for one, because workers make way for the server's threads (``be_polite``).
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from superpose.errors import StoreError

try:
    import fcntl
except ImportError:  # without file locks every worker takes what it wants
    fcntl = None  # type: ignore[assignment]  # absent there

__all__ = ["ONE_THREAD_EACH", "CpuBudget", "CpuShare", "be_polite", "one_thread_each"]

#: Environment of a process whose torch, BLAS and OpenMP libraries run on one thread.
ONE_THREAD_EACH = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
}

_LOOK_S = 0.05
_SIGN_OF_LIFE_S = 1.0


class CpuBudget:
    """A number of tokens that the processes of a machine share.

    Args:
        directory: where the token files stand; processes that name the same one share the budget.
        n_tokens: how many there are.
        silent_s: a holder that gives no sign of life for so long (stopped, or swapped out) is not waited for.

    Raises:
        StoreError: the directory cannot be used.
    """

    def __init__(self, directory: Path, n_tokens: int, *, silent_s: float = 30.0) -> None:
        self.n_tokens = n_tokens
        self._directory = directory
        self._silent_s = silent_s
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path("waiting").touch(0o600)
        except OSError as error:
            raise StoreError(
                f"The CPU budget's directory {directory} cannot be used: {error.strerror}.", path=str(directory)
            ) from error

    def take(
        self,
        most: int,
        *,
        give_up: Callable[[], bool],
        on_change: Callable[[int], None] = lambda _: None,
        first: bool = False,
    ) -> CpuShare | None:
        """Take up to ``most`` tokens, at least one, for which this waits; None once ``give_up()`` says so.

        Args:
            most: tokens of use; more than there are count as all.
            give_up: asked now and then.
            on_change: called with the number of threads that may run, now and whenever it changes.
            first: go before all who wait and are not first.
        """
        most = max(1, min(most, self.n_tokens))
        held = [] if self.somebody_waits() else self._grab(most)
        if held:
            return CpuShare(self, held, most, on_change)
        with self._waiting("waiting"), self._waiting("first") if first else contextlib.nullcontext():
            silence = _Silence(self._silent_s)
            while not give_up():
                # Before the first look too: who has just released a token would else have it back before any who wait.
                time.sleep(_LOOK_S * (0.5 + random.random()))  # noqa: S311  # so that two do not look in step
                held = self._grab(most) if first or not self._waits("first") else []
                if held or silence.lasts([self._path(f"token-{i}") for i in range(self.n_tokens)]):
                    return CpuShare(self, held, most, on_change)
        return None

    def somebody_waits(self) -> bool:
        """Whether another process, or thread, waits for a token."""
        return self._waits("waiting")

    def n_free(self) -> int:
        """How many tokens nobody holds now."""
        return sum(self._try(f"token-{i}", shared=False, keep=False) is not None for i in range(self.n_tokens))

    def _waits(self, sign: str) -> bool:
        return self._try(sign, shared=False, keep=False) is None

    def _grab(self, n: int) -> list[int]:
        """Descriptors of up to ``n`` tokens that were free."""
        held: list[int] = []
        for i in range(self.n_tokens):
            if len(held) == n:
                break
            token = self._try(f"token-{i}", shared=False)
            if token is not None:
                held.append(token)
        return held

    def _try(self, name: str, *, shared: bool, keep: bool = True) -> int | None:
        """Lock a file without waiting; its descriptor, or None if another holds it."""
        descriptor = os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        if not keep:
            os.close(descriptor)
        return descriptor

    @contextlib.contextmanager
    def _waiting(self, name: str) -> Iterator[None]:
        """Let others know that we wait."""
        while (sign := self._try(name, shared=True)) is None:  # somebody looks just now
            time.sleep(0.001)
        try:
            yield
        finally:
            os.close(sign)

    def _path(self, name: str) -> Path:
        return self._directory / name


class CpuShare:
    """The tokens that one attempt holds; give them back with ``release``, or use it in a ``with``.

    One without any was given because all holders are silent; it may run one thread.
    """

    def __init__(self, budget: CpuBudget, held: list[int], most: int, on_change: Callable[[int], None]) -> None:
        self._budget = budget
        self._held = held
        self._most = most
        self._on_change = on_change
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._balance, name="superpose-cpu", daemon=True)
        on_change(self.n_threads)
        self._thread.start()

    @property
    def n_tokens(self) -> int:
        """How many tokens it holds."""
        return len(self._held)

    @property
    def n_threads(self) -> int:
        """How many threads may run."""
        return max(1, len(self._held))

    def release(self) -> None:
        """Give all tokens back."""
        self._over.set()
        self._thread.join()
        while self._held:
            os.close(self._held.pop())

    def __enter__(self) -> CpuShare:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _balance(self) -> None:
        """Give up what another waits for, take what nobody does, and show that we live."""
        shown_at_s = -_SIGN_OF_LIFE_S
        while True:
            now_s = time.monotonic()
            if now_s - shown_at_s >= _SIGN_OF_LIFE_S:
                shown_at_s = now_s
                for token in self._held:
                    os.utime(token)
            if self._over.wait(_LOOK_S):
                return
            with contextlib.suppress(OSError):  # out of descriptors, say: then things stay as they are
                self._look()

    def _look(self) -> None:
        if len(self._held) > 1 and self._budget.somebody_waits():
            self._on_change(len(self._held) - 1)  # before the other one begins
            os.close(self._held.pop())
        elif len(self._held) < self._most and not self._budget.somebody_waits():
            before = self.n_threads
            self._held += self._budget._grab(1)
            if self.n_threads != before:
                self._on_change(self.n_threads)


class _Silence:
    """Tells whether all files of a list have stayed untouched for a time, by our own monotonic clock."""

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self._seen: dict[Path, tuple[int, float]] = {}

    def lasts(self, paths: list[Path]) -> bool:
        now_s = time.monotonic()
        for path in paths:
            try:
                touched = path.stat().st_mtime_ns
            except OSError:
                touched = 0
            if self._seen.get(path, (None, 0.0))[0] != touched:
                self._seen[path] = (touched, now_s)
        return all(now_s - self._seen[path][1] > self._silent_s for path in paths)


def be_polite(nice: int) -> None:
    """Let everything else go first: this thread, and those that it starts, from now on.

    Under Linux the scheduling class is the one for batches too, whose threads never interrupt another when they wake.

    Args:
        nice: added to the niceness, 0 to 19.
    """
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(nice)


def one_thread_each() -> None:
    """Have BLAS and OpenMP run on one thread: those that are loaded already, and those that come later."""
    import threadpoolctl

    os.environ.update(ONE_THREAD_EACH)
    threadpoolctl.threadpool_limits(1)
