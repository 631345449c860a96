"""What an experiment asks of a plan for fine-tuning, whatever kind of model its parent is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from superpose.errors import FeatureMismatchError, SpecError

if TYPE_CHECKING:
    from torch import nn

    from superpose.datasets import Table
    from superpose.learning.fine_tuning.parent import Parent
    from superpose.learning.preprocessing import Preprocessor

__all__ = ["Carried", "check_kept"]


class Carried(Protocol):
    """A parent and what becomes of its blocks."""

    @property
    def parent(self) -> Parent:
        """The model that training begins from."""
        ...

    @property
    def preprocessor(self) -> Preprocessor | None:
        """The parent's, where it is kept."""
        ...

    @property
    def controls_preprocessor(self) -> Preprocessor | None:
        """What models without a parent are given; None where they learn theirs from the training rows."""
        ...

    def rate_factors(self, network: nn.Module, learning_rate: float) -> dict[str, float]:
        """By how much each parameter's learning rate differs from the common one; empty where none does."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values, with the parent's name and digests."""
        ...


def check_kept(plan: Carried, table: Table | None) -> None:
    """Refuse rows that a parent's preprocessing, where it is kept, cannot take; None leaves that to training.

    Raises:
        SpecError: a column is missing, or of another kind.
    """
    if table is None or plan.preprocessor is None:
        return
    try:
        plan.preprocessor.encode(table.features)
    except FeatureMismatchError as error:
        raise SpecError(
            f'keeps the parent\'s preprocessing, which cannot take these rows: {error.message}; say "match" or "new"',
            "fine_tune.entry",
        ) from None
