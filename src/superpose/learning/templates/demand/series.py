"""Demand series: read from CSV or built in, checked, on a regular calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from superpose.datasets.csv_reader import csv_texts
from superpose.datasets.domains import GENERAL
from superpose.datasets.table import MAX_COLUMNS
from superpose.datasets.written_numbers import points_at_thousands
from superpose.errors import DatasetFormatError, DatasetTooSmallError, SpecError
from superpose.learning.canonical import digest_bytes

__all__ = [
    "BUILTIN",
    "FREQUENCIES",
    "GAPS",
    "DemandSeries",
    "Frequency",
    "SeriesSet",
    "builtin_series",
    "read_series",
    "series_of_frame",
]

_DATE, _QUANTITY, _SERIES = "date", "quantity", "series"
_MAX_BYTES = 64 * 1024 * 1024
_MAX_PERIODS = 200_000
_MOST: Final = 1e90

BUILTIN: Final = "electrical_equipment"
"""The series that a run without a file takes."""

_OFFSET: Final = re.compile(r"([T ]\d\d.*?) ?(?:Z|[+-]\d\d(?::?\d\d)?)$")
"""A time of day and its offset from UTC, which stands behind times alone."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frequency:
    """A row of `FREQUENCIES`.

    Attributes:
        season: periods in a season.
        horizon: periods ahead that are forecast by default.
        n_lags: last quantities that are features.
        period: the calendar that dates are put on; pandas' word for it.
    """

    season: int
    horizon: int
    n_lags: int
    period: str


FREQUENCIES: Final[dict[str, Frequency]] = {
    "daily": Frequency(7, 14, 14, "D"),
    "weekly": Frequency(52, 8, 8, "W"),
    "monthly": Frequency(12, 12, 12, "M"),
}
"""What a period can be."""

GAPS: Final = ("refuse", "zero")
"""What a period without a row can mean."""


@dataclass(frozen=True, eq=False)
class DemandSeries:
    """One series, a period each.

    Attributes:
        name: its id; "" where a file has one series without a name.
        periods: the calendar, ``(n_periods + n_future,)``, without gaps.
        quantities: float64 ``(n_periods,)``, finite.
        covariates: float64 ``(n_periods + n_future, n_covariates)``, known beforehand.
    """

    name: str
    periods: pd.PeriodIndex
    quantities: Floats
    covariates: Floats

    @property
    def n_periods(self) -> int:
        """Periods whose quantity is known."""
        return len(self.quantities)


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Series of one frequency that end in the same period.

    Attributes:
        name: of the file or the built-in series.
        source: where the data come from, with licence, of built-in ones.
        frequency: a row of `FREQUENCIES`.
        covariates: names of the columns known beforehand.
        series: at least one.
        digest: SHA-256 of the content.
        n_filled: periods without a row that were taken for zero.
        domain: what the data are about, one of `superpose.datasets.domains.DOMAINS`.
    """

    name: str
    source: str | None
    frequency: str
    covariates: tuple[str, ...]
    series: tuple[DemandSeries, ...]
    digest: str
    n_filled: int
    domain: str = GENERAL

    @property
    def calendar(self) -> Frequency:
        """The row of `FREQUENCIES`."""
        return FREQUENCIES[self.frequency]

    @property
    def n_future(self) -> int:
        """Periods after the last known quantity for which covariates are given."""
        return min(len(one.periods) - one.n_periods for one in self.series)


def builtin_series() -> SeriesSet:
    """Monthly turnover of the makers of electrical equipment in the euro area, an index, 1995 to 2016.

    Raises:
        SpecError: statsmodels, which the data come with, is not installed.

    Source: Eurostat, series STS.M.I7.W.TOVT.NS0016.4.000, working-day adjusted, public domain; statsmodels' data set
    ``elec_equip``.
    """
    try:
        from statsmodels.datasets import elec_equip
    except ImportError:
        raise SpecError(
            "is needed: the built-in series comes with statsmodels, which is not installed; give a CSV file, or "
            "pip install 'superpose[forecasting]'",
            "data",
        ) from None
    data = elec_equip.load().data
    quantities = data.iloc[:, 0].to_numpy(dtype=np.float64)
    periods = pd.PeriodIndex(data.index, freq="M")
    text = "\n".join(f"{period},{value!r}" for period, value in zip(periods, quantities.tolist(), strict=True))
    one = DemandSeries("", periods, quantities, np.empty((len(quantities), 0)))
    source = (
        "Eurostat STS.M.I7.W.TOVT.NS0016.4.000 (turnover index, electrical equipment), public domain, by statsmodels"
    )
    return SeriesSet(BUILTIN, source, "monthly", (), (one,), digest_bytes(text.encode()), 0)


def read_series(path: Path | str, *, frequency: str | None = None, gaps: str = "refuse") -> SeriesSet:
    """Read a CSV file of demand: comma, semicolon (with which decimals may have a comma) or tab.

    Columns: ``date`` (ISO 8601; of a time with an offset from UTC the date that stands there counts, whatever the
    offset), ``quantity``, perhaps ``series``; all others are covariates, numbers that are known beforehand (prices,
    promotions, holidays). Rows at the end with an empty quantity are the future: they carry covariates only.

    Args:
        path: of the file, at most 64 MB.
        frequency: a key of `FREQUENCIES`; by default inferred from the dates.
        gaps: "refuse", or "zero" where a period without a row means that nothing was sold, be it between others or
            after a series' last row, up to the last period of any series.

    Raises:
        DatasetFormatError: the file cannot be read, or is not such a file; the message names the row.
        DatasetEmptyError: nothing is in it.
        DatasetTooSmallError: fewer than three periods.
        SpecError: a word that is not allowed.
    """
    _check_words(frequency, gaps)
    content = _content(Path(path))
    return series_of_frame(
        _frame(content, Path(path).name),
        name=Path(path).name,
        digest=digest_bytes(content),
        frequency=frequency,
        gaps=gaps,
    )


def series_of_frame(
    frame: pd.DataFrame, *, name: str, digest: str, frequency: str | None = None, gaps: str = "refuse"
) -> SeriesSet:
    """The series in rows of ``date``, ``quantity``, perhaps ``series``, and covariates; see `read_series`.

    Args:
        frame: dates and series as text; quantities and covariates as text, or float64 with NaN where missing.
        name: of the data.
        digest: SHA-256 of the content.
        frequency: see `read_series`.
        gaps: see `read_series`.

    Raises:
        DatasetFormatError, DatasetTooSmallError, SpecError: see `read_series`.
    """
    _check_words(frequency, gaps)
    dates = _dates(frame)
    if frequency is None:
        frequency = _inferred(dates, frame)
    periods = dates.dt.to_period(FREQUENCIES[frequency].period)
    numbers = {name: _numbers(frame, name) for name in frame.columns if name not in (_DATE, _SERIES)}
    covariates = tuple(name for name in numbers if name != _QUANTITY)
    names = _names(frame)
    end = periods[numbers[_QUANTITY].notna()].max() if gaps == "zero" else None
    _check_span(periods, names, end)
    found, n_filled = [], 0
    for series, rows in frame.groupby(names, sort=True).groups.items():
        own = {column: values.loc[rows] for column, values in numbers.items()}
        one, filled = _series(str(series), periods.loc[rows], own, covariates, end)
        found.append(one)
        n_filled += filled
    ends = {one.periods[one.n_periods - 1] for one in found}
    if len(ends) > 1:
        raise DatasetFormatError(
            f"all series must end in the same period, they end in {', '.join(sorted(map(str, ends)))[:200]}; leave out "
            "those that have ended, or give their last periods"
            + ("" if gaps == "zero" else " (or say gaps zero if nothing was sold then)")
        )
    return SeriesSet(name, None, frequency, covariates, tuple(found), digest, n_filled)


def _check_span(periods: Any, names: Any, end: Any) -> None:
    """Refuse calendars that a few rows far apart would make long, be it those up to ``end`` if it is not None.

    Raises:
        DatasetFormatError: from first to last row the series have too many periods together.
    """
    ends = periods.map(lambda period: period.ordinal).groupby(names).agg(["min", "max"])
    last = ends["max"] if pd.isna(end) else ends["max"].clip(lower=end.ordinal)
    total = int((last - ends["min"] + 1).sum())
    if total > _MAX_PERIODS:
        raise DatasetFormatError(
            f"the series have {total:,} periods from their first row to their last, at most {_MAX_PERIODS:,} are "
            "taken; look for a date that is wrong, or choose longer periods"
        )


def _check_words(frequency: str | None, gaps: str) -> None:
    for field, word, allowed in (("frequency", frequency, (*FREQUENCIES, None)), ("gaps", gaps, GAPS)):
        if word not in allowed:
            raise SpecError(f"must be one of {', '.join(filter(None, allowed))}, got {word!r}", field)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DatasetFormatError(
            f"{path} cannot be read: {error.strerror}. Give a CSV file, a row per period and series", path=str(path)
        ) from error
    if len(content) > _MAX_BYTES:
        raise DatasetFormatError(f"{path.name} has more than {_MAX_BYTES} bytes, the most that is read")
    return content


def _frame(content: bytes, name: str) -> pd.DataFrame:
    import pyarrow as pa

    texts, delimiter = csv_texts(content, name=name, max_columns=MAX_COLUMNS)
    frame = pd.DataFrame({column: pd.Series(cells, dtype=object) for column, cells in texts.items()})
    for column in frame.columns.difference([_DATE, _SERIES]) if delimiter == ";" else ():
        if not frame[column].str.contains(".", regex=False).any():  # a decimal comma, as data sets understand it
            frame[column] = frame[column].str.replace(",", ".", n=1, regex=False)
        elif points_at_thousands(pa.array(cell for cell in texts[column] if cell)):
            one = next(cell for cell in texts[column] if "." in cell)
            raise DatasetFormatError(
                f"column {column} has points only where thousands end, such as {one!r}, which would be read as a "
                f"decimal: write {one.replace('.', '')}, or {one.replace('.', ',')} for the decimal",
                column=column,
            )
    missing = [name for name in (_DATE, _QUANTITY) if name not in frame.columns]
    if missing:
        raise DatasetFormatError(
            f"the file needs the columns date and quantity, each name once, and may have series and covariates; it "
            f"has {', '.join(frame.columns)[:200]}"
        )
    if not 3 <= len(frame) <= _MAX_PERIODS:
        raise DatasetTooSmallError(f"the file has {len(frame)} rows; 3 to {_MAX_PERIODS} are needed")
    return frame


def _dates(frame: pd.DataFrame) -> Any:
    dates = pd.to_datetime(frame[_DATE].map(_local), format="ISO8601", errors="coerce")
    bad = np.flatnonzero(dates.isna())
    if bad.size:
        row = int(bad[0])
        raise DatasetFormatError(f"row {row + 2}: date must be like 2026-11-27 or 2026-11, got {frame[_DATE][row]!r}")
    return dates


def _local(text: str) -> str:
    """A date as its writer's clock tells it: without the offset from UTC, which daylight saving changes."""
    return _OFFSET.sub(r"\1", text.strip())


def _names(frame: pd.DataFrame) -> Any:
    """Of each row the series, "" where there is one without a name; blanks around names are no part of them."""
    return frame[_SERIES].str.strip() if _SERIES in frame else pd.Series("", index=frame.index)


def _inferred(dates: Any, frame: pd.DataFrame) -> str:
    names = _names(frame)
    days = dates.dt.to_period("D").map(lambda period: period.ordinal)  # of times, 300 years overflow
    steps = days.sort_values().groupby(names).diff().dropna()
    usual = float(steps.median()) if len(steps) else 0.0
    for name, (low, high) in {"daily": (1, 1), "weekly": (7, 7), "monthly": (28, 31)}.items():
        if low <= usual <= high:
            return name
    if len(steps) and usual == 0:
        raise DatasetFormatError(
            "most rows of a series have the date of another; add up rows of a period, or name the series in a column "
            "series"
        )
    raise DatasetFormatError(
        f"dates are mostly {usual:g} days apart, which is neither daily, weekly nor monthly; say which with frequency"
    )


def _numbers(frame: pd.DataFrame, name: str) -> Any:
    values = pd.to_numeric(frame[name], errors="coerce").astype("float64")
    blank = frame[name].isna() if frame[name].dtype.kind == "f" else frame[name].str.strip() == ""
    wrong = ~np.isfinite(values.to_numpy()) & ~blank.to_numpy()
    sizes = np.abs(values.to_numpy())
    extreme = (sizes > _MOST) | ((sizes > 0) & (sizes < 1 / _MOST))  # whose squares no float holds
    if name != _QUANTITY:
        wrong |= values.isna().to_numpy()
    if (wrong | extreme).any():
        row = int(np.flatnonzero(wrong | extreme)[0])
        got = "" if blank.iloc[row] else str(frame[name].iloc[row])
        allowed = "a finite number" if wrong[row] else f"0 or between {1 / _MOST:g} and {_MOST:g} in size"
        raise DatasetFormatError(f"row {row + 2}: {name} must be {allowed}, got {got!r}")
    return values


def _series(
    name: str, periods: Any, numbers: dict[str, Any], covariates: tuple[str, ...], end: Any
) -> tuple[DemandSeries, int]:
    """One series on its calendar, and how many periods were filled.

    Args:
        name: its id.
        periods: of its rows.
        numbers: of its rows, by column.
        covariates: names of those that are covariates.
        end: the last period of any series, up to which one without a row is zero; None where it is refused.
    """
    said = f"series {name!r}" if name else "the series"
    if periods.duplicated().any():
        raise DatasetFormatError(f"{said} has {periods[periods.duplicated()].iloc[0]} twice; add such rows up first")
    table = pd.DataFrame(numbers).set_index(pd.PeriodIndex(periods)).sort_index()
    known = table.index[table[_QUANTITY].notna()]
    if len(known) < 3:
        raise DatasetTooSmallError(f"{said} has {len(known)} periods with a quantity; at least 3 are needed")
    first, last = known[0], known[-1]
    if end is not None and not ((table.index > last) & (table.index <= end)).any():  # nor a row that leaves it open
        last = end
    n_future = int((table.index > last).sum())
    whole = pd.period_range(first, table.index[-1] if n_future else last)
    table = table.loc[table.index >= first].reindex(whole)
    quantities = table[_QUANTITY].to_numpy()[: len(whole) - len(whole[whole > last])]
    absent = np.isnan(quantities)
    if absent.any() and end is None:
        raise DatasetFormatError(
            f"{said} has no quantity for {whole[int(np.flatnonzero(absent)[0])]} ({int(absent.sum())} such periods); "
            "add it, or say gaps zero if nothing was sold then"
        )
    others = table[list(covariates)]
    if covariates and others.isna().to_numpy().any():
        place = others.index[others.isna().any(axis=1)][0]
        raise DatasetFormatError(f"{said} has no covariates for {place}; covariates must be known for all periods")
    filled = np.where(absent, 0.0, quantities)
    return DemandSeries(name, whole, filled, others.to_numpy(dtype=np.float64)), int(absent.sum())
