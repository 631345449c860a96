"""The section ``fine_tune`` of a training spec: which model to begin from, and what to do with its blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from superpose.errors import SpecError
from superpose.learning.spec_fields import Section, choice, rates, subset, text

__all__ = ["BLOCKS", "ENTRIES", "HEADS", "FineTuneSpec"]

BLOCKS = ("features", "entry", "circuit", "head")
"""The blocks of a model: linear layer from columns to angles, circuit, linear layer to classes; of a module also what
stands before its entry, such as convolutions."""

ENTRIES = ("auto", "keep", "match", "new")
HEADS = ("auto", "keep", "new")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FineTuneSpec(Section):
    """Training that begins from a trained model, its parent; without ``parent`` it begins from random weights.

    ``parent``: the model, as ``NAME``, ``NAME:VERSION`` or ``NAME:ALIAS`` of the registry, or its digest. ``digest``:
    the model's digest, which the service fills in. ``entry``: "keep" takes the parent's preprocessing and entry layer
    as they are, for equal columns; "match" learns preprocessing from the new rows and takes the weights of columns of
    the same name; "new" begins anew; "auto" is the first of these that fits. ``head``: "keep" for equal classes, "new",
    or "auto". ``freeze``: blocks that are not trained. ``learning_rates``: by block, in place of
    ``training.learning_rate``.
    """

    path: ClassVar[str] = "fine_tune"
    parent: str | None = text(None, 130)
    digest: str | None = text(None, 64)
    entry: str = choice("auto", lambda: ENTRIES)
    head: str = choice("auto", lambda: HEADS)
    freeze: tuple[str, ...] = subset((), BLOCKS)
    learning_rates: Mapping[str, float] | None = rates(BLOCKS)

    def __post_init__(self) -> None:
        super().__post_init__()
        said = self.digest or self.freeze or self.learning_rates or {self.entry, self.head} != {"auto"}
        if self.parent is None and said:
            raise SpecError("is needed: the trained model to begin from, such as heart:3", self.field_path("parent"))
        if self.digest is not None and not _DIGEST.fullmatch(self.digest):
            raise SpecError(f"must be 64 hexadecimal digits, got {self.digest!r}", self.field_path("digest"))
        both = [block for block in self.freeze if block in (self.learning_rates or {})]
        if both:
            raise SpecError(
                f"gives {both[0]} a rate, but fine_tune.freeze says that it is not trained; leave one of them out",
                self.field_path("learning_rates"),
            )
