"""Whether an exported module can be trained on a table as a spec says, before any compute is spent. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from superpose.engine import memory_required
from superpose.engine.memory import available_memory
from superpose.errors import SpecError, StateTooLargeError
from superpose.learning.admission import admit
from superpose.learning.evaluation_spec import FEW_SPLITS
from superpose.learning.modules.exported import ExportedModule
from superpose.learning.modules.losses import check_outputs
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.spec import TrainingSpec
from superpose.learning.splitting import feature_table

if TYPE_CHECKING:
    from superpose.datasets import Table

__all__ = ["admit_carried", "admit_module", "check_columns", "frozen_weights", "module_spec"]

_PREDICTED_ROWS = 4096
"""Rows of one engine call when a model is evaluated."""


def frozen_weights(module: ExportedModule) -> frozenset[str]:
    """Trained quantum weights: what the control ``frozen`` leaves as they are."""
    return frozenset(name for name in module.quantum_weights if module.roles[name] == "parameter")


def module_spec(module: ExportedModule, document: Mapping[str, Any]) -> TrainingSpec:
    """A training spec for a module: all sections but ``model``, with the controls that a module can have.

    The only control is ``frozen`` (the same module, quantum weights not trained), where quantum weights are trained and
    something else is too; the baseline is that of every model. What a module costs is not known beforehand, so that
    there are 5 splits unless the document says more.

    Raises:
        SpecError: an unknown field, a value out of range, what a module decides by itself, a backend, or privacy.
    """
    if "model" in document:
        raise SpecError("is not for modules: a module brings its own layers; leave the section out", "model")
    if "backend" in document:
        raise SpecError(
            "is for circuits that a spec builds; a module's circuits run on this machine's engine: leave it out",
            "backend",
        )
    if "privacy" in document:
        raise SpecError(
            "is for circuits that a spec builds; gradients of a module's layers cannot be told apart by row: leave it "
            "out",
            "privacy",
        )
    frozen = frozen_weights(module)
    trained = {name for name, role in module.roles.items() if role == "parameter"}
    if not trained:
        raise SpecError(
            f"module {module.name} has no parameter that requires a gradient, so there is nothing to train", "module"
        )
    allowed = ["frozen"] if frozen and trained - frozen else []
    evaluation = document.get("evaluation")
    given = dict(evaluation) if isinstance(evaluation, Mapping) else {}
    if evaluation is None or isinstance(evaluation, Mapping):
        document = {**document, "evaluation": {"controls": allowed, "n_splits": FEW_SPLITS, **given}}
    spec = TrainingSpec.from_dict(dict(document))
    refused = [name for name in spec.evaluation.controls if name not in allowed]
    if refused:
        why = (
            "the others change a circuit that only a spec builds"
            if allowed
            else "its quantum weights are not all it trains"
        )
        raise SpecError(
            f"a module of this kind can have {allowed or 'none'} of the controls ({why}), got {refused}",
            "evaluation.controls",
            allowed=allowed,
        )
    if spec.training.gradient_method != "adjoint":
        raise SpecError("is not for modules: their quantum layers bring their own", "training.gradient_method")
    return spec


def admit_module(module: ExportedModule, loss: str, document: Mapping[str, Any], table: Table) -> TrainingSpec:
    """Check a module, its loss and its spec against the data and this machine.

    Raises:
        SpecError: the spec is not valid, the loss does not fit the outputs, or the columns do not fit the inputs.
        StateTooLargeError: a circuit needs more memory than there is.
    """
    spec = module_spec(module, document)
    _admit_spec(module, spec, table)
    check_outputs(loss, module.n_outputs, len(table.classes))
    table = feature_table(spec, table)
    names, kinds = [c.name for c in table.columns], [c.kind for c in table.columns]
    check_columns(module, Preprocessor.fit(table.features, names, kinds, spec.preprocessing).n_encoded)
    return spec


def admit_carried(module: ExportedModule, document: Mapping[str, Any], table: Table) -> TrainingSpec:
    """Check the spec of a training that begins from a module against the data and this machine.

    Whether classes and columns fit is for `plan_module_fine_tuning` to say.

    Raises:
        SpecError: the spec is not valid, or says what a module decides by itself.
        StateTooLargeError: a circuit needs more memory than there is.
    """
    spec = module_spec(module, document).about(table.domain)
    _admit_spec(module, spec, table, fine_tuned=True)
    return spec


def _admit_spec(module: ExportedModule, spec: TrainingSpec, table: Table, *, fine_tuned: bool = False) -> None:
    admit(replace(spec, limits=replace(spec.limits, memory_mb=None)), table, fine_tuned=fine_tuned)
    _admit_memory(module, spec)


def check_columns(module: ExportedModule, n_encoded: int) -> None:
    """Refuse data whose encoded columns are not the module's inputs.

    Raises:
        SpecError: they are not.
    """
    if n_encoded != module.n_columns:
        raise SpecError(
            f"module {module.name} takes {module.n_columns} columns, the data have {n_encoded} after preprocessing "
            "(one per number column, per known value of a category column, per indicator of a gap); export "
            "it for as many, or drop columns",
            "module",
            n_columns=module.n_columns,
            n_encoded=n_encoded,
        )


def _admit_memory(module: ExportedModule, spec: TrainingSpec) -> None:
    allowed, whose = available_memory(), "this machine has free"
    limit = spec.limits.memory_mb
    if limit is not None and limit * 10**6 < allowed:
        allowed, whose = limit * 10**6, "limits.memory_mb allows"
    for name, block in module.layers.items():
        n_qubits = block.circuit.n_qubits
        needed = max(
            memory_required(n_qubits, spec.training.batch_size, dtype=module.dtype, gradients=True),
            memory_required(n_qubits, _PREDICTED_ROWS, dtype=module.dtype, gradients=False),
        )
        if needed > allowed:
            raise StateTooLargeError(
                f"circuit {name[:12]} of module {module.name} has {n_qubits} qubits and needs {needed / 1e6:,.0f} MB, "
                f"{whose} {allowed / 1e6:,.0f} MB; use fewer qubits",
                n_qubits=n_qubits,
                needed_bytes=needed,
                available_bytes=allowed,
            )
