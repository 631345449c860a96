"""How the circuits of the template are built and trained, as a value that needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["HybridSettings"]


@dataclass(frozen=True)
class HybridSettings:
    """How the hybrid model and its controls are built and trained; see `HybridRegressor`."""

    n_qubits: int = 6
    encoding: str = "reuploading"
    layers: int = 2
    epochs: int = 25
    batch_size: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 1.0
    patience: int = 8
    validation_fraction: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
