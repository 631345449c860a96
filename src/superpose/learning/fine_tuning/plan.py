"""What a fine-tuned model takes over from its parent and what begins anew, decided before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from superpose.circuits import to_qasm
from superpose.errors import SpecError
from superpose.learning.fine_tuning.carried import check_kept
from superpose.learning.fine_tuning.parent import Parent
from superpose.learning.quantum_block import build_block
from superpose.learning.rows import ColumnNames, category_text, is_frame

if TYPE_CHECKING:
    from superpose.datasets import Table
    from superpose.learning.network import HybridNetwork
    from superpose.learning.preprocessing import Preprocessor
    from superpose.learning.spec import ModelSpec, TrainingSpec

__all__ = ["FineTuning", "chosen_entry", "plan_fine_tuning", "units_of"]

_BLOCKS = ("entry", "circuit", "head")
_PARAMETERS = {"entry": ("entry.",), "circuit": ("block.",), "head": ("exit.",)}
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class FineTuning:
    """A parent and what becomes of its blocks.

    Attributes:
        parent: the model that training begins from.
        entry: "keep", "match" or "new".
        head: "keep" or "new".
        head_order: with "keep": for each of the new classes, its place among the parent's.
        freeze: blocks that are not trained.
        learning_rates: by block, where it is not that of the training options.
    """

    parent: Parent
    entry: str
    head: str
    head_order: tuple[int, ...]
    freeze: tuple[str, ...]
    learning_rates: Mapping[str, float]

    @property
    def preprocessor(self) -> Preprocessor | None:
        """The parent's, where it is kept."""
        return self.parent.model.preprocessor if self.entry == "keep" else None

    @property
    def controls_preprocessor(self) -> Preprocessor | None:
        """None: models without a parent learn theirs from the training rows."""
        return None

    def begin(self, network: HybridNetwork, encoded_names: Sequence[str]) -> None:
        """Put the parent's weights into an untrained network, and freeze blocks.

        Args:
            network: of the parent's circuit.
            encoded_names: name of each encoded column that the network takes.
        """
        arrays = {name: torch.from_numpy(array.copy()) for name, array in self.parent.hybrid.arrays.items()}
        with torch.no_grad():
            network.get_parameter("block.weights").copy_(arrays["block.weights"])
            if self.entry != "new":
                places = {name: place for place, name in enumerate(self.parent.model.preprocessor.encoded_names)}
                for column, name in enumerate(encoded_names):
                    if name in places:
                        network.entry.weight[:, column] = arrays["entry.weight"][:, places[name]]
                network.entry.bias.copy_(arrays["entry.bias"])
            if self.head == "keep":
                order = list(self.head_order)
                network.exit.weight.copy_(arrays["exit.weight"][order])
                network.exit.bias.copy_(arrays["exit.bias"][order])
        for name, parameter in network.named_parameters():
            if self._block_of(name) in self.freeze:
                parameter.requires_grad_(False)

    def rate_factors(self, network: nn.Module, learning_rate: float) -> dict[str, float]:
        """By how much each parameter's learning rate differs from the common one; empty where none does."""
        if not self.learning_rates:
            return {}
        names = [name for name, _ in network.named_parameters()]
        return {name: self.learning_rates.get(self._block_of(name), learning_rate) / learning_rate for name in names}

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values, with the parent's name and digests."""
        return {
            **self.parent.facts(),
            "entry": self.entry,
            "head": self.head,
            "freeze": list(self.freeze),
            "learning_rates": dict(self.learning_rates),
        }

    @staticmethod
    def _block_of(parameter: str) -> str:
        return next(block for block in _BLOCKS if parameter.startswith(_PARAMETERS[block]))


def plan_fine_tuning(  # the parent, and the data in their parts
    spec: TrainingSpec,
    parent: Parent,
    columns: ColumnNames,
    classes: Sequence[object],
    table: Table | None = None,
    rows: Any = None,
) -> FineTuning:
    """Decide what is carried over.

    Args:
        spec: with the section ``fine_tune``.
        parent: the model to begin from.
        columns: the features.
        classes: the labels, in order.
        table: the features' rows, which a kept preprocessing must be able to take; None leaves that to training.
        rows: the features' rows where there is no table.

    Raises:
        SpecError: circuit, columns or classes do not fit what the section asks for; names the field.
    """
    section = spec.fine_tune
    parent.check_digest(section.digest)
    for place, named in (("freeze", section.freeze), ("learning_rates", section.learning_rates or {})):
        if "features" in named:
            raise SpecError(
                f"names features, which only modules have; the blocks of {parent.name} are {', '.join(_BLOCKS)}",
                f"fine_tune.{place}",
            )
    _check_circuit(spec.model, parent)
    strange = _strange_columns(parent, rows if table is None else table.features)
    entry = chosen_entry(section.entry, parent, columns, {} if table is None else units_of(table), strange)
    head, order = _head(section.head, parent, classes)
    new = {name for name, kind in (("entry", entry), ("head", head)) if kind == "new"}
    for block in section.freeze:
        if block in new:
            raise SpecError(
                f"names {block}, which begins from random weights here; what is not trained must come from the parent",
                "fine_tune.freeze",
            )
    more = set(columns.names) - set(parent.model.preprocessor.columns.names)
    if entry == "match" and "entry" in section.freeze and more:
        raise SpecError("names entry, but some of its columns are new and must be trained", "fine_tune.freeze")
    if set(section.freeze) == set(_BLOCKS):
        raise SpecError("names every block, so that nothing would be trained; leave one out", "fine_tune.freeze")
    plan = FineTuning(parent, entry, head, order, section.freeze, section.learning_rates or {})
    check_kept(plan, table)
    return plan


def _check_circuit(model: ModelSpec, parent: Parent) -> None:
    """Refuse a spec whose circuit is not the parent's."""
    parent.completed(model.to_dict())
    block, own = (
        build_block(model.n_qubits, model.encoding.name, model.ansatz.name, model.ansatz.layers),
        parent.hybrid.block,
    )
    same = to_qasm(block.circuit) == to_qasm(own.circuit) and block.to_dict() == own.to_dict()
    if not same or model.max_angle != parent.hybrid.max_angle:
        raise SpecError(
            f"makes another circuit than the one that {parent.name} was trained with; that release's circuits cannot "
            "be fine-tuned here",
            "model",
        )


def units_of(table: Table) -> dict[str, str]:
    """Units of a table's columns, by name, where they are known."""
    return {column.name: column.unit for column in table.columns if column.unit}


def _strange_columns(parent: Parent, rows: Any) -> list[str]:
    """Category columns with several values in these rows, of which the parent knows none."""
    own = parent.model.preprocessor
    if not is_frame(rows):
        return []
    found = []
    for (_, name), known in zip(own.columns.categories, own.categories, strict=True):
        words = {category_text(value) for value in rows[name].tolist()} - {None} if name in rows.columns else set()
        if len(words) > 1 and words.isdisjoint(known):
            found.append(name)
    return found


def chosen_entry(
    asked: str, parent: Parent, columns: ColumnNames, units: Mapping[str, str], strange: Sequence[str] = ()
) -> str:
    """What becomes of preprocessing and entry: "keep", "match" or "new", as asked or the first that fits.

    Args:
        asked: one of these, or "auto".
        parent: the model to begin from.
        columns: the features.
        units: of columns, by name, where they are known.
        strange: category columns of which the parent knows no value: kept, they would say nothing.

    Raises:
        SpecError: columns, units or categories do not fit what is asked for.
    """
    own = parent.model.preprocessor.columns
    before = dict(zip(own.names, own.kinds, strict=True))
    now = dict(zip(columns.names, columns.kinds, strict=True))
    other_units = sorted(name for name in now if units.get(name, "") != parent.units.get(name, units.get(name, "")))
    shared = [name for name in now if before.get(name) == now[name]]
    if asked == "auto":
        if before == now and not other_units and not strange:
            return "keep"
        return "match" if shared else "new"
    if asked == "keep" and before != now:
        gone, more = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
        changed = sorted(name for name in now.keys() & before.keys() if now[name] != before[name])
        told = [
            f"{what} {', '.join(names[:_SHOWN])}{' and more' if len(names) > _SHOWN else ''}"
            for what, names in (("lacks", gone), ("also has", more), ("has other kinds of values in", changed))
            if names
        ]
        raise SpecError(
            f'is "keep", but the data {"; ".join(told)}, compared with {parent.name}; say "match" or "new", or leave '
            "columns out with preprocessing.exclude",
            "fine_tune.entry",
        )
    if asked == "keep" and other_units:
        name = other_units[0]
        raise SpecError(
            f'is "keep", but column {name!r} is in {units.get(name)} here, in {parent.units[name]} in {parent.name}; '
            'say "match", which learns the scale anew',
            "fine_tune.entry",
        )
    if asked == "keep" and strange:
        raise SpecError(
            f'is "keep", but {parent.name} knows no value of column {strange[0]!r}, which would say nothing; say '
            '"match", which learns categories and scales anew, or leave the column out with preprocessing.exclude',
            "fine_tune.entry",
        )
    if asked == "match" and not shared:
        raise SpecError(
            f'is "match", but no column has the name and kind of one of {parent.name} '
            f'({", ".join(own.names[:_SHOWN])}...); say "new"',
            "fine_tune.entry",
        )
    return asked


def _head(asked: str, parent: Parent, classes: Sequence[object]) -> tuple[str, tuple[int, ...]]:
    before, now = [str(label) for label in parent.model.classes], [str(label) for label in classes]
    same = sorted(before) == sorted(now)
    if asked == "keep" and not same:
        raise SpecError(
            f'is "keep", but the classes are {", ".join(now[:_SHOWN])} here and {", ".join(before[:_SHOWN])} in '
            f'{parent.name}; say "new", or give the classes the same names',
            "fine_tune.head",
        )
    if asked == "new" or not same:
        return "new", ()
    return "keep", tuple(before.index(label) for label in now)
