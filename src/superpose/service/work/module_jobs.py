"""Training jobs of users' own modules: what is checked before one is accepted, and how a worker runs one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from superpose.errors import RequestError
from superpose.service.catalogue.module import Module
from superpose.service.nouns import Job
from superpose.service.work.evidence import evidence_of, measured_effort
from superpose.service.work.how_far import all_done, while_training
from superpose.service.work.runs import Outcome, RunContext, trained_outcome

if TYPE_CHECKING:
    from superpose.datasets import Table
    from superpose.learning import ExportedModule

__all__ = ["admit_module_training", "train_module"]

_FIELDS = {"module", "loss", "spec"}


def admit_module_training(
    payload: Mapping[str, object], module: Module, exported: ExportedModule, table: Table
) -> dict[str, object]:
    """The payload in full, if the module can be trained on the table on this machine.

    Raises:
        RequestError: an unknown field.
        SpecError: the spec is not valid, or module, loss and data do not fit one another; names the field.
        StateTooLargeError: a circuit needs more memory than there is.
        DatasetTooSmallError: the table cannot be split as the spec asks.
    """
    from superpose.learning.modules.admission import admit_module
    from superpose.learning.splitting import splits_of

    spec, loss = payload.get("spec", {}), payload.get("loss", "cross_entropy")
    unknown = sorted(set(payload) - _FIELDS)
    if unknown or not isinstance(spec, Mapping) or not isinstance(loss, str):
        raise RequestError(f"A module's training takes module, loss and spec; got also {unknown}.", unknown=unknown)
    full = admit_module(exported, loss, spec, table)
    splits_of(full, table, at_most=3)
    sections = {name: value for name, value in full.to_dict().items() if name != "model"}
    return {"module": module.name, "module_id": module.id, "digest": module.artifact, "loss": loss, "spec": sections}


def train_module(job: Job, context: RunContext) -> Outcome:
    """Train, compare and pack a user's module; goes on from checkpoints if there are any.

    Raises:
        Stopped: ``should_stop`` said so; a checkpoint is there.
        SuperposeError: training is not possible.
    """
    from superpose.learning import ExportedModule, ModuleRecipe, run_experiment
    from superpose.learning.modules.admission import module_spec

    table = context.training_table()
    exported = ExportedModule.from_bytes(context.artifacts.read(str(job.payload["digest"])))
    spec = job.payload["spec"]
    full = module_spec(exported, spec if isinstance(spec, Mapping) else {})
    with measured_effort(context.directory):
        found = run_experiment(
            full,
            table,
            context.directory,
            on_event=while_training(context.on_event),
            should_stop=context.should_stop,
            recipe=ModuleRecipe(exported, str(job.payload["loss"])),
        )
    evidence = evidence_of(found, full, table, context)
    all_done(context.on_event, evidence)
    return trained_outcome(found, evidence)
