"""Explanations of predictions as the client sees them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, TypedDict

from superpose.client.display import table_html
from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun
from superpose.errors import ProtocolError, UnreachableError

__all__ = [
    "EXPLAIN_TIMEOUT_S",
    "ExplainedRow",
    "Explanation",
    "MoreToExplain",
    "RowCounterfactual",
    "RowPicture",
    "RowShotNoise",
    "more_to_json",
    "told_of_patience",
]

_SHOWN = 5

EXPLAIN_TIMEOUT_S: Final = 600.0
"""How long an explanation may take: one of pictures is minutes of work."""


class MoreToExplain(TypedDict, total=False):
    """What may be asked for beside attributions; see docs/explanations.md."""

    counterfactuals: int | Mapping[str, object] | None
    shots: int | None
    words: bool
    picture: str | Mapping[str, object] | None


def more_to_json(more: MoreToExplain) -> dict[str, Any]:
    """As the service takes it: a number of counterfactuals and a kind of picture are options with just these.

    Raises:
        TypeError: an argument that it does not take, such as ``fixed``, which is an option of ``counterfactuals``.
    """
    unknown = sorted(set(more) - set(MoreToExplain.__annotations__))
    if unknown:
        raise TypeError(
            f"explain() takes no argument {unknown[0]!r}; beside rows, method and of_class there are "
            f"{', '.join(MoreToExplain.__annotations__)}"
        )
    few = more.get("counterfactuals")
    given: dict[str, Any] = (
        {} if few is None else {"counterfactuals": dict(few) if isinstance(few, Mapping) else {"n": few}}
    )
    if more.get("shots") is not None:
        given["shots"] = more["shots"]
    picture = more.get("picture")
    if picture is not None:
        given["picture"] = dict(picture) if isinstance(picture, Mapping) else {"kind": picture}
    return given | ({"words": True} if more.get("words") else {})


@contextmanager
def told_of_patience(endpoint: str, n_rows: int) -> Iterator[None]:
    """Tell what to do where an explanation has taken too long.

    Raises:
        UnreachableError: it has, or nothing answers.
    """
    try:
        yield
    except UnreachableError as error:
        limit_s = error.details.get("timeout_s")
        if limit_s is None:
            raise
        rows = "1 row" if n_rows == 1 else f"{n_rows} rows"
        raise UnreachableError(
            f"Endpoint {endpoint} did not explain {rows} within {limit_s:g} s; the service is told to end the work. "
            "Give it longer (--timeout SECONDS at the command line, timeout_s= in Python), fewer rows at a time, or a "
            "method of one pass, gradient_x_input.",
            **error.details,
        ) from None


@dataclass(frozen=True)
class RowCounterfactual(Noun):
    """A near row with another label: ``changes`` has ``(from, to)`` by column, ``distance`` is in widths of ranges."""

    label: str
    probability: float
    distance: float
    changes: Mapping[str, tuple[float | str | None, float | str]]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A counterfactual from the service's JSON."""
        f = Fields.of("counterfactual", document)
        changes = {str(name): (pair["from"], pair["to"]) for name, pair in f.object("changes").items()}
        return cls(f.text("class"), f.number("probability"), f.number("distance"), changes)


@dataclass(frozen=True)
class RowShotNoise(Noun):
    """How often shots give the row another label than exact expectations, most likely ``rival``.

    With ``shots_to_settle`` shots they rarely do; None where no number settles it.
    """

    rival: str
    flip_probability: float
    in_band: bool
    margin: float
    margin_deviation: float
    shots_to_settle: int | None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Shot noise from the service's JSON."""
        f = Fields.of("shot noise", document)
        return cls(
            rival=f.text("rival"),
            flip_probability=f.number("flip_probability"),
            in_band=f.members.get("in_band") is True,
            margin=f.number("margin"),
            margin_deviation=f.number("margin_deviation"),
            shots_to_settle=f.maybe_whole("shots_to_settle"),
        )


@dataclass(frozen=True)
class RowPicture(Noun):
    """What the model looked at in an image: ``kind`` of map, and the convolution (``layer``) of a class activation.

    ``data`` is the PNG in base64, ``png`` are its bytes.
    """

    kind: str
    layer: str | None
    data: str

    @property
    def png(self) -> bytes:
        """The PNG file."""
        return base64.b64decode(self.data)

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A picture from the service's JSON."""
        f = Fields.of("picture", document)
        data = f.text("data")
        try:
            base64.b64decode(data, validate=True)
        except binascii.Error:
            raise ProtocolError("the service's picture is not base64") from None
        return cls(f.text("kind"), f.maybe_text("layer"), data)

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True)
class ExplainedRow(Noun):
    """What each column did to the probability of ``label``, in units of probability, the strongest first.

    The attributions share out ``probability - typical_probability``, the second being that of a typical row, up to
    ``completeness_error``; of a model that is calibrated ``calibrated_probability`` is what it answers with, else None.
    What was not asked for is None. Of a model that predicts a number these three are None, and
    the attributions share out ``number - typical_number``, in units of the number. ``sampling_error`` is how far an
    attribution may be off where orders of columns were drawn (half a 95 % interval, the widest), else None.
    """

    label: str | None
    probability: float | None
    typical_probability: float | None
    attributions: Mapping[str, float]
    completeness_error: float
    counterfactuals: tuple[RowCounterfactual, ...] | None = None
    shot_noise: RowShotNoise | None = None
    words: tuple[str, ...] | None = None
    picture: RowPicture | None = None
    number: float | None = None
    typical_number: float | None = None
    calibrated_probability: float | None = None
    sampling_error: float | None = None

    @property
    def answer(self) -> str:
        """The class, or the number."""
        return f"{self.number:.6g}" if self.number is not None else str(self.label)

    @property
    def answered(self) -> float | None:
        """The probability of ``label`` that the model answers with, after calibration; None of a number."""
        return self.probability if self.calibrated_probability is None else self.calibrated_probability

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A row from the service's JSON."""
        f = Fields.of("explained row", document)
        numbers = "number" in f.members
        few, noise = "counterfactuals" in f.members, f.maybe_object("shot_noise")
        picture, calibrated = f.maybe_object("picture"), "calibrated_probability" in f.members
        return cls(
            label=None if numbers else f.text("class"),
            probability=None if numbers else f.number("probability"),
            typical_probability=None if numbers else f.number("typical_probability"),
            number=f.number("number") if numbers else None,
            typical_number=f.number("typical_number") if numbers else None,
            calibrated_probability=f.number("calibrated_probability") if calibrated else None,
            attributions={str(name): float(value) for name, value in f.object("attributions").items()},
            completeness_error=f.number("completeness_error"),
            sampling_error=f.number("sampling_error") if "sampling_error" in f.members else None,
            counterfactuals=tuple(map(RowCounterfactual.from_json, f.array("counterfactuals"))) if few else None,
            shot_noise=None if noise is None else RowShotNoise.from_json(noise),
            words=f.texts("words") if "words" in f.members else None,
            picture=None if picture is None else RowPicture.from_json(picture),
        )


@dataclass(frozen=True)
class Explanation(Noun):
    """What an endpoint's model version made its predictions of.

    ``shot_noise`` sums up that of the rows: ``shots``, ``share_in_band``, ``expected_flips``. ``notice`` must stand
    wherever the model shows itself. ``target`` is what a predicted number is called.
    """

    model: str
    model_version: int
    method: str
    rows: tuple[ExplainedRow, ...]
    shot_noise: Mapping[str, float] | None = None
    notice: str | None = None
    target: str | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """An explanation from the service's JSON."""
        f = Fields.of("explanation", document)
        return cls(
            model=f.text("model"),
            model_version=f.whole("model_version"),
            method=f.text("method"),
            rows=tuple(map(ExplainedRow.from_json, f.array("rows"))),
            shot_noise=f.maybe_object("shot_noise"),
            notice=f.maybe_text("notice"),
            target=f.maybe_text("target"),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_html_(self) -> str:
        rows = [
            (
                *((row.label, row.answered) if self.target is None else (row.number, row.typical_number)),
                ", ".join(f"{n} {v:+.3g}" for n, v in list(row.attributions.items())[:_SHOWN]),
            )
            for row in self.rows
        ]
        title = f"{self.model} version {self.model_version}, {self.method}"
        heads = ("class", "probability") if self.target is None else (self.target, "of a typical row")
        return table_html((*heads, "strongest columns"), rows, title)
