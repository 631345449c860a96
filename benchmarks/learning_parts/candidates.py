"""Settings that were compared when families' defaults were chosen; the first of each are the former defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["CANDIDATES"]

_FORMER = {"epochs": 200, "patience": 40, "refit": False, "learning_rate": 0.02}
_LONG = {"epochs": 600, "patience": 100, "refit": True, "learning_rate": 0.02}

CANDIDATES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "dressed_circuit": (_FORMER, _FORMER | {"refit": True}, _LONG),
    "data_reuploading": (_FORMER, _FORMER | {"refit": True}, _LONG, _LONG | {"learning_rate": 0.01}),
    "circuit_centric": (
        _FORMER | {"learning_rate": 0.05, "readout": "first"},
        _LONG | {"learning_rate": 0.05, "readout": "first"},
        _LONG | {"learning_rate": 0.05, "readout": "all"},
        _LONG | {"learning_rate": 0.02, "readout": "all"},
    ),
    "quantum_convolution": (_FORMER, _LONG, _LONG | {"learning_rate": 0.01}),
    "tree_tensor": (_FORMER, _LONG),
}
"""By family: options that stand in place of its defaults."""
