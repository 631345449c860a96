"""Demand forecasting: a hybrid regressor, what it must be compared with, and a report that tells the truth."""

from superpose.learning.templates.demand.forecasting import FutureRows, features, forecast
from superpose.learning.templates.demand.models import VARIANTS
from superpose.learning.templates.demand.series import FREQUENCIES, builtin_series, read_series
from superpose.learning.templates.demand.template import train_demand

__all__ = [
    "FREQUENCIES",
    "VARIANTS",
    "FutureRows",
    "builtin_series",
    "features",
    "forecast",
    "read_series",
    "train_demand",
]
