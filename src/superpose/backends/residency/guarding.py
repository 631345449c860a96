"""A backend that asks before each program whether it may have it."""

from __future__ import annotations

from collections.abc import Callable

from superpose.circuits import (
    Backend,
    Capabilities,
    Program,
    ProgramResult,
    QueueingBackend,
    SizingBackend,
    Template,
)

__all__ = ["guarded"]

_ANY_NUMBER = 10**9


def guarded(backend: Backend, require: Callable[[], None]) -> Backend:
    """Return ``backend``, which calls ``require`` before each program that it is given, and hands none on where that
    raises; what it has already is still fetched. With a queue where ``backend`` has one."""
    return _GuardedQueue(backend, require) if isinstance(backend, QueueingBackend) else _Guarded(backend, require)


class _Guarded:
    def __init__(self, backend: Backend, require: Callable[[], None]) -> None:
        self._backend, self._require = backend, require

    @property
    def name(self) -> str:
        return self._backend.name

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        return self._backend.capabilities()

    def batch_limit(self, template: Template, shots: int | None) -> int:
        inner = self._backend
        return inner.batch_limit(template, shots) if isinstance(inner, SizingBackend) else _ANY_NUMBER

    def run(self, program: Program) -> ProgramResult:
        self._require()
        return self._backend.run(program)


class _GuardedQueue(_Guarded):
    def __init__(self, backend: QueueingBackend, require: Callable[[], None]) -> None:
        super().__init__(backend, require)
        self._queue = backend

    def submit(self, program: Program, token: str) -> str:
        self._require()
        return self._queue.submit(program, token)

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        return self._queue.fetch(provider_job_id)
