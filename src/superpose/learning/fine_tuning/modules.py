"""What a fine-tuned module takes over from its parent, an exported module of a model file, and what begins anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import SpecError
from superpose.learning.fine_tuning.carried import check_kept
from superpose.learning.fine_tuning.parent import Parent
from superpose.learning.fine_tuning.plan import chosen_entry, units_of
from superpose.learning.modules.beginning import check_beginning, new_arrays
from superpose.learning.modules.blocks import MODULE_BLOCKS, blocks_of, last_layer
from superpose.learning.modules.exported import ExportedModule
from superpose.learning.modules.losses import LOSSES, check_outputs
from superpose.learning.modules.model import ModuleModel
from superpose.learning.rows import ColumnNames

if TYPE_CHECKING:
    from torch import nn

    from superpose.datasets import Table
    from superpose.learning.fine_tuning.spec import FineTuneSpec
    from superpose.learning.preprocessing import Preprocessor

__all__ = ["ModuleFineTuning", "module_of", "plan_module_fine_tuning"]


@dataclass(frozen=True, eq=False)
class ModuleFineTuning:
    """A parent that is a module, and what becomes of its blocks.

    Attributes:
        parent: the model that training begins from.
        entry: "keep", "match" or "new"; the last begins features and entry anew.
        head: "keep" or "new".
        freeze: blocks that are not trained.
        learning_rates: by block, where it is not that of the training options.
        n_outputs: of the new module; another number than the parent's where there are other classes.
        blocks: the block of each of the module's arrays.
    """

    parent: Parent
    entry: str
    head: str
    freeze: tuple[str, ...]
    learning_rates: Mapping[str, float]
    n_outputs: int
    blocks: Mapping[str, str] = field(default_factory=dict)

    @property
    def preprocessor(self) -> Preprocessor | None:
        """The parent's, where it is kept."""
        return self.parent.model.preprocessor if self.entry == "keep" else None

    @property
    def controls_preprocessor(self) -> Preprocessor | None:
        """What models without a parent see: the parent's where nothing in it was learnt, as of pictures."""
        own = self.preprocessor
        plain = own is not None and not own.categories and not own.fill.any() and not own.centre.any()
        return own if plain and own is not None and bool((own.scale == 1.0).all()) else None

    @cached_property
    def still(self) -> frozenset[str]:
        """Arrays of frozen blocks: neither steps nor the statistics of normalisations change them."""
        return frozenset(name for name, block in self.blocks.items() if block in self.freeze)

    def begun(self, seed: int) -> ExportedModule:
        """The module that training begins from: the parent's arrays, and new ones where a block begins anew."""
        new = {"features", "entry"} if self.entry == "new" else set()
        new |= {"head"} if self.head == "new" else set()
        module = self._resized()
        names = [name for name, block in self.blocks.items() if block in new]
        return self._anew(module, names, seed)

    def from_scratch(self, seed: int) -> ExportedModule:
        """The same module begun anew in all its arrays."""
        module = self._resized()
        return self._anew(module, module.arrays, seed)

    def rate_factors(self, network: nn.Module, learning_rate: float) -> dict[str, float]:
        """By how much each parameter's learning rate differs from the common one; empty where none does."""
        from superpose.learning.modules.network import ModuleNetwork

        if not self.learning_rates or not isinstance(network, ModuleNetwork):
            return {}
        return {
            parameter: self.learning_rates.get(self.blocks.get(array, ""), learning_rate) / learning_rate
            for parameter, array in network.array_of_parameter.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values, with the parent's name and digests, and the blocks that its module has."""
        return {
            **self.parent.facts(),
            "blocks": _trained_blocks(module_of(self.parent), self.blocks),
            "entry": self.entry,
            "head": self.head,
            "freeze": list(self.freeze),
            "learning_rates": dict(self.learning_rates),
        }

    def _anew(self, module: ExportedModule, names: Iterable[str], seed: int) -> ExportedModule:
        """The module with new beginnings for some of its arrays: its family's, or those of PyTorch's layers."""
        family = self.parent.family
        if family is None:
            return _with_arrays(module, new_arrays(module, names, seed))
        drawn = family.untrained_arrays(module.n_columns, self.n_outputs, seed)
        new = {name: drawn[name].astype(module.arrays[name].dtype) for name in names if name in drawn}
        return _with_arrays(module, new)

    def _resized(self) -> ExportedModule:
        """The parent's module with as many outputs as there are classes now; the last layer's arrays are empty."""
        module = module_of(self.parent)
        if self.n_outputs == module.n_outputs:
            return module
        layer = last_layer(module)
        names = [] if layer is None else [value["array"] for value in layer.args[1:3] if isinstance(value, Mapping)]
        arrays = dict(module.arrays)
        for name in names:
            old = arrays[name]
            arrays[name] = np.zeros((self.n_outputs, *old.shape[1:]), dtype=old.dtype)
        return dataclasses.replace(module, arrays=arrays, n_outputs=self.n_outputs)


def module_of(parent: Parent) -> ExportedModule:
    """The exported module of a parent that is one."""
    if not isinstance(parent.model, ModuleModel):
        raise TypeError(f"{parent.name} is no module")
    return parent.model.module


def plan_module_fine_tuning(
    section: FineTuneSpec,
    parent: Parent,
    columns: ColumnNames,
    classes: Sequence[object],
    table: Table | None = None,
) -> ModuleFineTuning:
    """Decide what is carried over.

    Args:
        section: the section ``fine_tune``.
        parent: the model to begin from, an exported module.
        columns: the features.
        classes: the labels, in order.
        table: the features' rows, which a kept preprocessing must be able to take; None leaves that to training.

    Raises:
        SpecError: columns or classes do not fit what the section asks for, a block is not one of the module's, or a
            parameter cannot begin anew; names the field.
    """
    parent.check_digest(section.digest)
    module = module_of(parent)
    if parent.family is None:
        check_beginning(module)
    blocks = blocks_of(module)
    trained = set(_trained_blocks(module, blocks))
    _check_blocks(section, parent, trained)
    entry = chosen_entry(section.entry, parent, columns, {} if table is None else units_of(table))
    if entry == "match" and set(columns.names) != set(parent.model.preprocessor.columns.names):
        _check_columns(section.entry, parent, columns)
        entry = "new"
    head, n_outputs = _head(section.head, parent, classes)
    _check_frozen(section, trained, entry, head)
    if entry == "new" and head == "new" and "circuit" not in trained:
        raise SpecError(
            f"would take nothing over: columns and classes are others than those of {parent.name}, which has no "
            "circuit. Train without a parent, or bring the same columns",
            "fine_tune.parent",
        )
    plan = ModuleFineTuning(parent, entry, head, section.freeze, section.learning_rates or {}, n_outputs, blocks)
    check_kept(plan, table)
    return plan


def _trained_blocks(module: ExportedModule, blocks: Mapping[str, str]) -> list[str]:
    """The blocks with parameters, in the order of the graph."""
    found = {block for name, block in blocks.items() if module.roles[name] == "parameter"}
    return [block for block in MODULE_BLOCKS if block in found]


def _check_columns(asked: str, parent: Parent, columns: ColumnNames) -> None:
    """Refuse other columns where "match" is asked for, and where all that is wrong is that there are more.

    A column too many, such as the part or the patient of a picture, would cost the parent's features unseen.
    """
    if asked == "match":
        raise SpecError(
            f'is "match", but a module takes all its columns at once, and those of {parent.name} are others; say '
            '"new", or bring the same columns',
            "fine_tune.entry",
        )
    own = set(parent.model.preprocessor.columns.names)
    more = [name for name in columns.names if name not in own]
    if len(more) == len(columns.names) - len(own):
        raise SpecError(
            f"is not said, and the data have all columns of {parent.name} and also {', '.join(more[:5])}"
            f"{' and more' if more[5:] else ''}: leave those out with preprocessing.exclude, which keeps what the "
            'parent learnt of the others, or say "new", which begins features and entry anew',
            "fine_tune.entry",
        )


def _check_blocks(section: FineTuneSpec, parent: Parent, own: set[str]) -> None:
    """Refuse what names a block that the module does not have."""
    for place, named in (("freeze", section.freeze), ("learning_rates", section.learning_rates or {})):
        for block in named:
            if block not in own:
                told = ", ".join(known for known in MODULE_BLOCKS if known in own)
                raise SpecError(
                    f"names {block}, but {parent.name} trains nothing there; its blocks are {told}",
                    f"fine_tune.{place}",
                )


def _check_frozen(section: FineTuneSpec, own: set[str], entry: str, head: str) -> None:
    new = ({"features", "entry"} if entry == "new" else set()) | ({"head"} if head == "new" else set())
    for block in section.freeze:
        if block in new:
            raise SpecError(
                f"names {block}, which begins from random weights here; what is not trained must come from the parent",
                "fine_tune.freeze",
            )
    if set(section.freeze) == own:
        raise SpecError("names every block, so that nothing would be trained; leave one out", "fine_tune.freeze")


def _head(asked: str, parent: Parent, classes: Sequence[object]) -> tuple[str, int]:
    module = module_of(parent)
    model = parent.model
    before, now = [str(label) for label in model.classes], [str(label) for label in classes]
    loss = model.loss if isinstance(model, ModuleModel) else ""
    if asked == "keep" and before != now:
        raise SpecError(
            f'is "keep", but the classes are {", ".join(now[:5])} here and {", ".join(before[:5])} in {parent.name}; '
            'say "new", or give the classes the same names in the same order',
            "fine_tune.head",
        )
    if asked != "new" and before == now:
        return "keep", module.n_outputs
    if LOSSES[loss].single or len(now) == len(before):
        check_outputs(loss, module.n_outputs, len(now))
        return "new", module.n_outputs
    if last_layer(module) is None:
        raise SpecError(
            f"cannot begin anew for {len(now)} classes: the outputs of {parent.name}, {len(before)}, come from "
            "something else than one linear layer",
            "fine_tune.head",
        )
    return "new", len(now)


def _with_arrays(module: ExportedModule, new: Mapping[str, NDArray[Any]]) -> ExportedModule:
    """The module with some other arrays."""
    return dataclasses.replace(module, arrays={**module.arrays, **new})
