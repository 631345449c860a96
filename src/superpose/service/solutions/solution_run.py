"""What a worker does for a solution: the problem read again, solved, and the whole answer in a file."""

from __future__ import annotations

import json
from typing import Any

from superpose.learning.canonical import write_atomically
from superpose.service.nouns import Job
from superpose.service.solutions.solutions import problem_of
from superpose.service.work.runs import Outcome, RunContext

__all__ = ["run"]

_TOLD = ("value", "bound", "yardstick", "yardstick_value", "gap_percent", "verdict", "solution")


def run(job: Job, context: RunContext) -> Outcome:
    """Solve the job's problem; a run that was killed begins again, with the same seed.

    Raises:
        ProblemInfeasibleError: the method found no feasible solution.
        ExtraMissingError: the method needs a package that is not installed.
        Stopped: the user has cancelled the job, its time is over, or the worker stops.
    """
    from superpose.learning.checkpoint import Stopped
    from superpose.optimization import Progress, solve

    payload: dict[str, Any] = dict(job.payload)
    model = problem_of(json.loads(context.artifacts.read(payload["artifact"])))
    context.on_event("progress", {"stage": f"solving with {payload['method']}", "fraction": 0.0})

    def look() -> None:
        if context.should_stop():
            raise Stopped("The solver stopped on request; another attempt begins again with the same seed.")

    def tell(progress: Progress) -> None:
        context.on_event("progress", progress.to_json())

    answer = solve(model, payload["method"], on_step=look, on_progress=tell, **payload["options"])
    document: dict[str, Any] = answer.to_json()
    output = context.directory / "answer.json"
    write_atomically(output, json.dumps(document, allow_nan=False).encode())
    context.on_event("log", {"message": answer.verdict, "verdict": True})
    context.on_event("progress", {"stage": f"solved with {payload['method']}", "fraction": 1.0})
    methods = [{name: row[name] for name in ("method", "role", "value", "feasible")} for row in document["methods"]]
    return Outcome({**{name: document[name] for name in _TOLD}, "methods": methods}, output=output)
