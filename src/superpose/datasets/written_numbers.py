"""How people write numbers, where a table takes them for something else: dates, thousands, signs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["holds_compact_dates", "mostly_numbers", "points_at_thousands"]

_MOSTLY = 0.9
_HALF = 0.5
_FEW = 10
"""So many different numbers may as well be the names of groups."""
_PLAIN = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_SIGNED = re.compile(
    r"[<>=≤≥~+−-]{0,2}\s?"  # as people write
    r"(\d+([.,]\d+)?|\d{1,3}([ .,'’\u00a0\u202f]\d{3})+([.,]\d+)?)\s?"
    r"(?P<unit>[%‰]|[A-Za-z€$£µμ°][\w€$£µμ°%/]{0,7})?"
)


def holds_compact_dates(numbers: npt.NDArray[np.float64]) -> bool:
    """Whether two or more different numbers are there and all read as dates, year, month and day: 20250331.

    >>> holds_compact_dates(np.array([20250331.0, np.nan, 20250401.0]))
    True
    >>> holds_compact_dates(np.array([20250331.0, 20251301.0]))
    False
    """
    known = numbers[~np.isnan(numbers)]
    if not len(known) or known.min() < 1800_01_01 or known.max() > 2199_12_31 or (known != np.round(known)).any():
        return False
    months, days = known // 100 % 100, known % 100
    valid = (months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)  # months and days
    return bool(valid.all() and known.min() < known.max())


def points_at_thousands(text: pa.Array) -> bool:
    """Whether cells between semicolons, null where missing, have points, and only where thousands end: 1.234, 56.

    Between semicolons decimals mostly have commas; such a cell reads as 1.234 all the same.
    """
    import pyarrow.compute as pc

    known = pc.drop_null(text)
    if not pc.any(pc.match_substring(known, ".")).as_py():
        return False
    return bool(pc.all(pc.match_substring_regex(known, r"^[+-]?(0|[1-9]\d{0,2}(\.\d{3})*)$")).as_py())


def mostly_numbers(values: Any) -> bool:
    """Whether most texts of a column are numbers, or would be without signs or a unit: <5, 12 %, 1,234.5, 7 mg.

    Few different ones (0, 1, 2, 3+) count as names of groups, unless nearly all are plain.

    Args:
        values: a pandas series of texts without missing ones, ``(n,)``.

    Cost: one look at each distinct text.
    """
    import pandas as pd

    if not len(values):
        return False
    if float(pd.to_numeric(values, errors="coerce").notna().mean()) >= _MOSTLY:
        return True
    counts = values.value_counts()
    plain = [word for word in counts.index if _PLAIN.fullmatch(word)]
    signed = {word: found["unit"] for word in counts.index if (found := _SIGNED.fullmatch(word))}
    one_unit = len(set(signed.values()) - {None}) <= 1  # 1a, 2b, 3c are codes
    readable = list(dict.fromkeys([*plain, *(word for word, unit in signed.items() if one_unit or unit is None)]))
    shares = [float(counts[words].sum()) / len(values) for words in (plain, readable)]
    return (len(plain) > _FEW and shares[0] >= _HALF) or (len(readable) > _FEW and shares[1] >= _MOSTLY)
