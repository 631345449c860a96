"""Training jobs: on this machine, or in a loop at a provider, which holds no worker while a queue is long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from superpose.service.nouns import Job, utc_now
from superpose.service.operations.tracing import span_here
from superpose.service.work.evidence import evidence_of, measured_effort
from superpose.service.work.fine_tuning import carrying, parent_of_job
from superpose.service.work.how_far import all_done, while_training
from superpose.service.work.measured_training import cost_told
from superpose.service.work.runs import LONGEST_PAUSE_S, Asks, Outcome, RunContext, trained_outcome

if TYPE_CHECKING:
    from superpose.circuits import Backend
    from superpose.learning import TrainingSpec
    from superpose.service.work.loops import LoopBackend, QueueIsLongError

__all__ = ["train"]


def train(job: Job, context: RunContext) -> Outcome:
    """Train, compare and pack a model; goes on from checkpoints if there are any.

    Where the spec names a backend with a queue, the job leaves its worker once a program has waited for
    ``provider_patience_s``, and goes on from its checkpoint when the result is there.

    Raises:
        Stopped: ``should_stop`` said so; a checkpoint is there.
        ResidencyError: the project's rules do not allow the backend.
        SuperposeError: training is not possible.
    """
    from superpose.learning import TrainingSpec, run_experiment
    from superpose.learning.recipe import CircuitRecipe
    from superpose.service.work.loops import QueueIsLongError

    document = dict(job.payload)
    chosen_by = document.pop("sweep", None)  # only a sweep puts it there; a user's spec with it is refused
    spec = TrainingSpec.from_dict(document)
    backend, loop = _place(spec, context)
    try:
        with measured_effort(context.directory):
            if loop is not None:
                loop.leave_if_still_queued()
            with span_here("load"):
                table = context.training_table()
                parent = parent_of_job(spec, job.project, context.database, context.artifacts)
                recipe = carrying(spec, parent, table, backend)
                if recipe is None and backend is not None:
                    recipe = CircuitRecipe(spec, backend)
            found = run_experiment(
                spec,
                table,
                context.directory,
                on_event=while_training(context.on_event),
                should_stop=context.should_stop,
                recipe=recipe,
                provenance={"sweep": chosen_by} if isinstance(chosen_by, Mapping) else None,
                on_submit=lambda: None if backend is None or loop is not None else context.confinement.require(backend),
                on_queued=_wait_here if loop is None else loop.leave_if_long,
            )
    except QueueIsLongError as left:
        return Outcome({}, asks=Asks(left.provider_job_id, _pause_s(left, context)))
    if loop is not None:
        loop.end()
    evidence = evidence_of(found, spec, table, context)
    outcome = trained_outcome(found, evidence)
    all_done(context.on_event, evidence)
    if backend is None:
        return outcome
    return replace(outcome, result={**outcome.result, **cost_told(found.evaluation, backend)})


def _place(spec: TrainingSpec, context: RunContext) -> tuple[Backend | None, LoopBackend | None]:
    """Where the spec's circuits are measured: None for the engine; and the same as a loop, where it has a queue."""
    from superpose.circuits import QueueingBackend
    from superpose.errors import SpecError
    from superpose.service.work.loops import LoopBackend

    name, session = spec.backend.name, spec.backend.mode == "session"
    if name is None:
        return None, None
    backend = context.confinement.backend(name)
    if not isinstance(backend, QueueingBackend):
        if session:
            raise SpecError(f'is "session", but {backend.name} has no sessions; leave it out', "backend.mode")
        return context.confinement.guarded(name), None
    loop = LoopBackend(
        backend,
        context.provider_runs.at(name),
        context.loop_book,
        session=session,
        patience_s=context.config.provider_patience_s,
        require=lambda: context.confinement.require(backend),
    )
    return loop, loop


def _pause_s(left: QueueIsLongError, context: RunContext) -> float:
    """Time before the provider is asked again: a tenth of what the program has waited, at most a minute."""
    waited_s = (utc_now() - left.since).total_seconds()
    return max(context.config.poll_max_s, min(LONGEST_PAUSE_S, waited_s / 10))


def _wait_here(_: Any) -> None:
    """What is done about a queue where nobody leaves."""
