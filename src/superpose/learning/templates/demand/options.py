"""What a run of the template may be told, without torch: variants by name, bounds, and what data it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Literal

from superpose.errors import DatasetTooSmallError, SpecError
from superpose.learning.templates.demand.feature_rows import feature_names, first_origin, n_known_rows
from superpose.learning.templates.demand.series import FREQUENCIES, GAPS, SeriesSet

__all__ = ["CIRCUITS", "DEFAULTS", "VARIANTS", "Variant", "check_length", "check_options", "smoothing_installed"]


@dataclass(frozen=True)
class Variant:
    """A row of `VARIANTS`.

    Attributes:
        label: what tables and sentences call it.
        takes: "features" (one model for all series and steps), or "series" (each series by itself).
        seeds: whether its training draws random numbers.
    """

    label: str
    takes: Literal["features", "series"]
    seeds: bool = False


VARIANTS: Final[dict[str, Variant]] = {
    "hybrid": Variant("hybrid model", "features", seeds=True),
    "classical_twin": Variant("classical twin of equal parameter count", "features", seeds=True),
    "no_entanglement": Variant("same circuit without entanglement", "features", seeds=True),
    "frozen": Variant("same circuit with frozen random weights", "features", seeds=True),
    "seasonal_naive": Variant("seasonal naive", "series"),
    "exponential_smoothing": Variant("exponential smoothing", "series"),
    "ridge": Variant("ridge on the same features", "features"),
    "gradient_boosting": Variant("gradient boosting on the same features", "features", seeds=True),
}

CIRCUITS: Final = ("hybrid", "classical_twin", "no_entanglement", "frozen")

DEFAULTS: Final[Mapping[str, object]] = {
    "frequency": None,
    "horizon": None,
    "origins": 8,
    "calibration": 6,
    "seeds": 3,
    "epochs": None,
    "variants": None,
    "gaps": "refuse",
}
"""All options with what they are where nobody says."""

_BOUNDS: Final = {
    "horizon": (1, 366),
    "origins": (2, 60),
    "calibration": (1, 60),
    "seeds": (1, 20),
    "epochs": (1, 10_000),
}


MAX_NUMBERS: Final = 100_000_000
"""That the features of all rows have, at most: with their copies, some 2.4 GB."""


def check_options(options: Mapping[str, object]) -> dict[str, object]:
    """All options, defaults included, of those that were given.

    Raises:
        SpecError: no such option or variant, another type, or a number out of range; names the field.
    """
    for name in options:
        if name not in DEFAULTS:
            raise SpecError(f"is no option of this template; it takes {', '.join(DEFAULTS)}", str(name)[:40])
    full = {**DEFAULTS, **options}
    for name, (low, high) in _BOUNDS.items():
        value = full[name]
        if value is None and DEFAULTS[name] is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecError(f"must be a whole number, got {value!r}", name)
        if not low <= value <= high:
            raise SpecError(f"must be {low} to {high}, got {value}", name)
    for name, allowed in (("frequency", (*FREQUENCIES, None)), ("gaps", GAPS)):
        if full[name] not in allowed:
            raise SpecError(f"must be one of {', '.join(filter(None, allowed))}, got {full[name]!r}", name)
    _check_variants(full["variants"])
    return full


def _check_variants(names: object) -> None:
    if names is None:
        return
    if not isinstance(names, Sequence) or isinstance(names, str):
        raise SpecError(f"must be a list of names, got {names!r}", "variants")
    for name in names:
        if name not in VARIANTS:
            raise SpecError(f"must be out of {', '.join(VARIANTS)}, got {name!r}", "variants", allowed=list(VARIANTS))


def check_length(data: SeriesSet, horizon: int, *, n_calibration: int, n_test: int) -> None:
    """Check that the shortest series has room for so many origins, and that the rows of all fit into memory.

    Args:
        data: the series.
        horizon: periods ahead.
        n_calibration: origins that calibrate.
        n_test: origins that test.

    Raises:
        DatasetTooSmallError: it has not; says how many that test, or what horizon, would fit.
        SpecError: rows and features are too many.
    """
    shortest = min(one.n_periods for one in data.series)
    n_origins, usable = n_calibration + n_test, shortest - 1 - first_origin(data)
    free = usable - horizon
    if n_origins * horizon > free:
        fewer, shorter = free // horizon - n_calibration, usable // (n_origins + 1)
        fitting = [f"at most {fewer} that test (origins)"] if fewer >= _BOUNDS["origins"][0] else []
        fitting += [f"a horizon of at most {shorter}"] if shorter >= _BOUNDS["horizon"][0] else []
        advice = f"take {' or '.join(fitting)}" if fitting else "no horizon is short enough"
        raise DatasetTooSmallError(
            f"{n_origins} origins of {horizon} periods need {n_origins * horizon + shortest - free} "
            f"{data.frequency} periods ({n_calibration} origins calibrate, {n_test} test), the shortest series has "
            f"{shortest}; {advice}"
        )
    n_rows, n_columns = n_known_rows(data, horizon, 0), len(feature_names(data))
    if n_rows * n_columns > MAX_NUMBERS:
        raise SpecError(
            f"must be shorter, got {horizon}: so many steps ahead of every period are {n_rows:,} rows of {n_columns} "
            f"features, at most {MAX_NUMBERS // n_columns:,} fit; or take fewer series or periods",
            "horizon",
        )


def smoothing_installed() -> bool:
    """Whether statsmodels is there."""
    return find_spec("statsmodels") is not None
