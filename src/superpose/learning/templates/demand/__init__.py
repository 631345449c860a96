"""Demand forecasting: a hybrid regressor, what it must be compared with, and a report that tells the truth."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from superpose.learning.templates.demand.dataset_series import series_of_table
from superpose.learning.templates.demand.options import VARIANTS
from superpose.learning.templates.demand.series import FREQUENCIES, builtin_series, read_series

if TYPE_CHECKING:
    from superpose.learning.templates.demand.forecasting import FutureRows, features, forecast
    from superpose.learning.templates.demand.template import train_demand

__all__ = [
    "FREQUENCIES",
    "VARIANTS",
    "FutureRows",
    "builtin_series",
    "features",
    "forecast",
    "read_series",
    "series_of_table",
    "train_demand",
]

_HOME_OF = {
    "FutureRows": "forecasting",
    "features": "forecasting",
    "forecast": "forecasting",
    "train_demand": "template",
}


def __getattr__(name: str) -> Any:
    """Load what needs torch, or much else, only when it is asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
