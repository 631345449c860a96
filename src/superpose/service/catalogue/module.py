"""The noun: an exported module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from superpose.service.nouns import iso

__all__ = ["Module"]


@dataclass(frozen=True)
class Module:
    """A user's own PyTorch module as data; ``artifact`` is the SHA-256 of its file.

    ``summary`` holds class, n_columns, n_outputs, dtype, n_params, n_trainable, operators, and n_qubits and n_weights
    of each circuit.
    """

    id: str
    name: str
    artifact: str
    summary: Mapping[str, object] = field(repr=False)
    created_at: datetime

    def to_json(self) -> dict[str, object]:
        """The module as the API sends it."""
        return {
            "id": self.id,
            "name": self.name,
            "digest": self.artifact,
            **self.summary,
            "created_at": iso(self.created_at),
        }
