"""Chest X-rays: a hybrid classifier of pictures, what it must be compared with, and a report that tells the truth.

Not for clinical use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from superpose.learning.templates.pneumonia.options import VARIANTS

if TYPE_CHECKING:
    from superpose.learning.templates.pneumonia.choices import PRESETS
    from superpose.learning.templates.pneumonia.report import NOTICE
    from superpose.learning.templates.pneumonia.serving import picture_columns
    from superpose.learning.templates.pneumonia.template import train_pneumonia

__all__ = ["NOTICE", "PRESETS", "VARIANTS", "picture_columns", "train_pneumonia"]

_HOME_OF = {"NOTICE": "report", "PRESETS": "choices", "picture_columns": "serving", "train_pneumonia": "template"}


def __getattr__(name: str) -> Any:
    """Load what needs torch only when it is asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
