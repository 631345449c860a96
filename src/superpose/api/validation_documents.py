"""The JSON bodies of external validations; what one holds is told by `superpose.learning.validation_record`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from superpose.api.documents import Document

__all__ = ["NewValidation", "Withdrawal"]

_MOST_CLASSES, _MOST_GROUPS, _MOST_NAMED = 1_000, 500, 20
_SLACK = 1e-9

_Count = Annotated[int, Field(ge=0, le=2**53)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_LogOdds = Annotated[float, Field(ge=-1e9, le=1e9)]
_Share = Annotated[float, Field(ge=-_SLACK, le=1.0 + _SLACK, allow_inf_nan=False)]
_Text = Annotated[str, Field(min_length=1, max_length=500)]
_Metric = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]


class Interval(Document):
    """The ends of an interval; null where the rows do not tell."""

    low: _Number | None
    high: _Number | None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """By resampling it need not hold the figure itself."""
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high must both be numbers, or both be null")
        if self.low is not None and self.high is not None and self.low > self.high + _SLACK * (1.0 + abs(self.high)):
            raise ValueError(f"low must not be above high, got {self.low} and {self.high}")
        return self


class Figure(Interval):
    """A figure with its interval; null where the rows do not tell."""

    value: _Number | None
    asked: Annotated[_Share | None, Field(description="of a coverage, what was promised")] = None

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.value is None and self.low is not None:
            raise ValueError("a value that is null has no interval: low and high must be null")
        return self


class Sure(Interval):
    """A figure whose interval is known."""

    value: _LogOdds
    low: _LogOdds
    high: _LogOdds


class ShareOfRows(Interval):
    """A share of rows with its interval."""

    share: _Share
    low: _Share
    high: _Share


class Recalibration(Document):
    """Whether probabilities of the positive class are right on the whole, and as sure as they should be."""

    n_positive: _Count
    n_expected: Annotated[float, Field(ge=0.0, le=2**53)]
    ratio: _Number | None = None
    intercept: Sure
    slope: Sure | None


class Conformal(Document):
    """Whether prediction sets hold the truth as often as they promise."""

    coverage: _Share
    covered: ShareOfRows


class Novelty(Document):
    """Rows unlike the training rows."""

    novel: ShareOfRows
    expected_share: _Share


class CalibrationHere(Document):
    """What the model's safeguards do on the rows."""

    ece: _Share
    conformal: Conformal | None
    novelty: Novelty | None


class Subgroup(Document):
    """Metrics of a subgroup."""

    column: _Text
    group: Annotated[str, Field(max_length=500)]
    n_rows: _Count
    metrics: Annotated[dict[_Metric, Figure], Field(max_length=_MOST_NAMED)]


class Moved(Document):
    """A column that has moved."""

    name: _Text
    psi: Annotated[float, Field(ge=0.0, le=1e6)]


class DriftHere(Document):
    """How many columns have moved since the training."""

    n_columns: _Count
    drifted: _Count
    shifted: _Count
    farthest: Annotated[list[Moved], Field(max_length=_MOST_NAMED)]

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        moved = self.drifted + self.shifted
        if moved > self.n_columns or not min(moved, 1) <= len(self.farthest) <= moved:
            raise ValueError(
                f"{self.n_columns:,} columns, {self.drifted:,} drifted and {self.shifted:,} shifted, of which farthest "
                f"names {len(self.farthest)}: they must add up, and one that has moved must be named"
            )
        return self


class NewValidation(Document):
    """An external validation to be recorded."""

    digest: Annotated[str, Field(description="of the model that was held against the rows", pattern="^[0-9a-f]{64}$")]
    target: _Text
    n_rows: Annotated[int, Field(ge=1, le=2**53)]
    n_without_truth: _Count
    n_groups: Annotated[int | None, Field(ge=1, le=2**53, description="null where each row stands for itself")]
    confidence: Annotated[float, Field(ge=0.01, le=0.999999)]
    is_own_data: Annotated[bool, Field(description="whether the rows are those that the model was made from")]
    metrics: Annotated[dict[_Metric, Figure], Field(min_length=1, max_length=_MOST_NAMED)]
    classes: Annotated[dict[_Text, _Count] | None, Field(description="rows of each", max_length=_MOST_CLASSES)]
    positive_class: _Text | None
    positive_share: Figure | None
    recalibration: Recalibration | None
    calibration: CalibrationHere | None
    subgroups: Annotated[list[Subgroup], Field(max_length=_MOST_GROUPS)]
    drift: DriftHere | None
    unknown_categories: Annotated[dict[_Text, _Count], Field(max_length=_MOST_NAMED)]


class Withdrawal(Document):
    """Why a record does not count."""

    reason: Annotated[str, Field(description="1 to 2,000 characters")]
