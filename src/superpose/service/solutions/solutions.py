"""Solutions as users see them: file jobs whose problem and options are checked when they are submitted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from superpose.errors import ProblemError, ProblemFormatError
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Job, JobKind, Principal, Role
from superpose.service.store.claims import NewJob
from superpose.service.work.admission import check_idempotency_key, check_priority
from superpose.service.work.file_jobs import FileJob, FileJobs, FileKind, JobFiles
from superpose.trust import sha256_bytes

__all__ = ["LONGEST_S", "AskedSolution", "Solutions"]

LONGEST_S = 3_600.0
"""Most seconds that each method of a job may take."""


@dataclass(frozen=True, kw_only=True)
class AskedSolution:
    """What is to be solved, and how.

    Attributes:
        problem: a document of `superpose.optimization.read_problem`'s (``{"kind": "knapsack", ...}``), or a file's
            ``{"file": "burma14.tsp", "text": "...", "reference": 3323}``.
        method: "qaoa", "vqe", "annealing" or "classical".
        options: fields of `superpose.optimization.SolveOptions`.
        priority: -10 to 10; higher goes first.
        after: ids of jobs that must have succeeded before.
        idempotency_key: under one key, equal submissions give one job.
    """

    problem: Mapping[str, Any]
    method: str = "qaoa"
    options: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    after: tuple[str, ...] = ()
    idempotency_key: str | None = None


def _about(job: Job) -> dict[str, object]:
    return {name: job.payload[name] for name in ("name", "problem_kind", "n_variables", "method")}


class Solutions(FileJobs):
    """The solutions of a service.

    Args:
        files: where they are kept.
        config: limits.
    """

    sort = FileKind(
        kind=JobKind.SOLVE,
        title="solution",
        noun="solution",
        path="/v1/solutions",
        about=_about,
        form=lambda _: ("json", "application/json"),
        unlisted=("solution",),
    )

    def __init__(self, files: JobFiles, *, config: ServiceConfig) -> None:
        super().__init__(files)
        self._config = config

    def submit(self, principal: Principal, asked: AskedSolution) -> FileJob:
        """Check a problem and put it into the queue.

        Args:
            principal: the caller; an editor.
            asked: what is to be solved, and how.

        Raises:
            ForbiddenError: the caller's role is too small.
            ProblemFormatError: there is no problem in it.
            ProblemError: its numbers make none, or an option is not allowed.
            QuotaError: the project has no room for a job.
            ConflictError: the idempotency key was used for a different submission.
        """
        principal.require(Role.EDITOR)
        check_priority(asked.priority)
        check_idempotency_key(asked.idempotency_key)
        model = problem_of(asked.problem)
        options = _options(asked.method, asked.options)
        content = json.dumps(asked.problem, sort_keys=True).encode()
        staged = self._artifacts.stage(content)
        new = NewJob(
            project=principal.project,
            kind=JobKind.SOLVE,
            payload={
                "artifact": staged.digest,
                "name": model.name,
                "problem_kind": model.kind,
                "n_variables": model.n_variables,
                "method": asked.method,
                "options": options,
            },
            created_by=principal.key_id,
            model=None,
            priority=asked.priority,
            idempotency_key=asked.idempotency_key,
            after=asked.after,
            request={"problem": sha256_bytes(content), "method": asked.method, "options": options},
        )
        return self._submit(principal, new, staged)


def problem_of(document: Mapping[str, Any]) -> Any:
    """The problem that a submission holds.

    Raises:
        ProblemFormatError, ProblemError: it holds none.
    """
    from superpose.optimization.readers import read_text

    if "kind" in document:
        return read_text(json.dumps(document), "problem.json")
    file, text, reference = (document.get(name) for name in ("file", "text", "reference"))
    unknown = sorted(set(document) - {"file", "text", "reference"})
    number = isinstance(reference, int | float) and not isinstance(reference, bool)
    if not isinstance(file, str) or not isinstance(text, str) or unknown or not (reference is None or number):
        raise ProblemFormatError(
            'A problem is an object with "kind", or one with "file" (its name, such as "burma14.tsp"), "text" and, if '
            'the best objective is known, the number "reference".'
        )
    return read_text(text, file, reference=None if reference is None else float(reference))


def _options(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options as JSON values.

    Raises:
        ProblemError: one is not allowed.
    """
    from superpose.optimization import SolveOptions
    from superpose.optimization.options import METHODS

    if method not in METHODS:
        raise ProblemError(f"method is one of {', '.join(METHODS)}; got {method!r}.")
    known = {one.name: one.default for one in fields(SolveOptions)}
    for name, value in given.items():
        if name not in known:
            raise ProblemError(f"No such option: {name!r}; there are {', '.join(known)}.")
        if not _fits(value, known[name]):
            raise ProblemError(
                f"Option {name} is {known[name]!r} by default; a value like that is needed, got {value!r}."
            )
    chosen = SolveOptions(**given)
    if chosen.backend != "local":
        raise ProblemError(
            f"backend is {chosen.backend!r}; jobs solve with this machine's engine, 'local'. `superpose solve` takes "
            "any backend."
        )
    if chosen.time_limit_s > LONGEST_S:
        raise ProblemError(f"time_limit_s is {chosen.time_limit_s:g}; each method may take {LONGEST_S:g} s at most.")
    return asdict(chosen)


def _fits(value: Any, default: Any) -> bool:
    """Whether a JSON value is of the kind that an option has."""
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if default is None:  # cvar
        return value is None or isinstance(value, int | float)
    return isinstance(value, int | float) if isinstance(default, float) else isinstance(value, type(default))
