"""Solutions on a service: problems from logistics, solved as jobs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from superpose.client.file_jobs import FileJob, FileJobs, members_of
from superpose.client.json_fields import Fields
from superpose.client.nouns import Job, job_ids
from superpose.client.resources import json_body, read_json
from superpose.client.transport import Call
from superpose.errors import ProblemFormatError

__all__ = ["Solution", "Solutions"]


@dataclass(frozen=True, kw_only=True)
class Solution(FileJob):
    """A problem on a service, solved or not yet.

    ``result`` has ``value``, ``solution``, ``bound``, ``yardstick``, ``gap_percent``, ``verdict`` and ``methods``; the
    file has all that `superpose.optimization.Answer` tells.
    """

    name: str
    problem_kind: str
    n_variables: int
    method: str

    @property
    def value(self) -> float | None:
        """Objective of the solution; None before there is one."""
        found = (self.result or {}).get("value")
        return None if found is None else float(found)

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A solution from the service's JSON."""
        f = Fields.of("solution", document)
        return cls(
            **members_of(f),
            name=f.text("name"),
            problem_kind=f.text("problem_kind"),
            n_variables=f.whole("n_variables"),
            method=f.text("method"),
        )


class Solutions(FileJobs[Solution]):
    """Solutions of the key's project."""

    path = "/v1/solutions"
    title = "solution"

    def create(  # the fields of a submission
        self,
        problem: Mapping[str, Any] | str | Path,
        *,
        method: str = "qaoa",
        options: Mapping[str, Any] | None = None,
        reference: float | None = None,
        priority: int = 0,
        after: Sequence[Job | str] = (),
        idempotency_key: str | None = None,
    ) -> Solution:
        """Submit a problem.

        Args:
            problem: a document such as ``{"kind": "knapsack", "values": [...], ...}``, or the path of a file that
                `superpose.optimization.read_problem` reads. What stands beside a file is not sent.
            method: "qaoa", "vqe", "annealing" or "classical".
            options: fields of `superpose.optimization.SolveOptions`; the service's defaults fill what is left out.
            reference: best objective known, in place of a document's own. Of a ``.vrp`` whose distances are not to be
                rounded it has decimals.
            priority: jobs of higher priority start first.
            after: jobs, or their ids, that must have succeeded before.
            idempotency_key: submitting twice under one key gives one job; made up where it is left out.

        Raises:
            ProblemFormatError: the file cannot be read.
            ApiError: the service refuses the problem or an option.
        """
        document = {
            "problem": _document(problem, reference),
            "method": method,
            "options": dict(options or {}),
            "priority": priority,
            "after": list(job_ids(after)),
        }
        call = Call(
            "POST",
            self.path,
            headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
            body=json_body(document),
            repeatable=True,
        )
        return Solution.from_json(read_json(self._transport.send(call)))

    def _of_json(self, document: object) -> Solution:
        return Solution.from_json(document)

    def _suffix(self, job_id: str) -> str:
        return "json"


def _document(problem: Mapping[str, Any] | str | Path, reference: float | None) -> dict[str, Any]:
    known = {} if reference is None else {"reference": reference}
    if isinstance(problem, Mapping):
        return {**problem, **known}
    path = Path(problem)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProblemFormatError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise ProblemFormatError(f"{path.name} is not text in UTF-8.") from None
    return {"file": path.name, "text": text, **known}
