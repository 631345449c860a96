"""What a user states for a model's card: domain, intended use, limits; and the sentence that medical models carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from superpose.datasets.domains import DOMAINS, GENERAL, MEDICAL
from superpose.errors import SpecError
from superpose.learning.spec_fields import Section, choice, text

__all__ = [
    "DOMAINS",
    "FEWEST_CASES",
    "MAX_STATEMENT",
    "MEDICAL",
    "NOT_FOR_CLINICAL_USE",
    "STATEMENTS",
    "CardSpec",
    "caution",
    "compared_by",
    "n_seen",
    "no_width",
    "notice_of",
    "slices_of",
    "stated",
]

NOT_FOR_CLINICAL_USE = "Not for clinical use."
"""What stands wherever a medical model shows itself: card, endpoint, answers, explanations, terminal."""

STATEMENTS = ("intended_use", "limits", "no_subgroups")
"""What can be stated, in a spec or at a model version."""

MAX_STATEMENT = 2_000
"""Longest statement, in characters."""

FEWEST_CASES = 10
"""Test cases below which a subgroup is compared with no other."""

_SAME = 1e-9
"""Ends of an interval that differ by less are the same but for rounding."""

_UNSEEN = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and signs that print as nothing: fillers of Hangul, inherent vowels of Khmer, the empty cell of Braille."""


def n_seen(text: str) -> int:
    """How many characters of a text can be seen: no blanks, control characters, marks of direction or fillers.

    >>> n_seen("Shown at the fair."), n_seen(" \\x07\\u200b" * 10)
    (15, 0)
    """
    return sum(c.isprintable() and not c.isspace() and c not in _UNSEEN for c in text)


@dataclass(frozen=True)
class CardSpec(Section):
    """What the model card says that no measurement can tell.

    ``domain``: "medical" puts the sentence "Not for clinical use." on the card, the endpoint, its answers and
    explanations; "general" by default, and medical all the same where the data are. ``intended_use``: by whom, on which
    data and for what decision the model is meant to be used. ``limits``: where it must not be used or trusted.
    ``no_subgroups``: why there are no groups whose figures could be compared, where ``evaluation.subgroups`` names
    none. (Where a column that it names turns out to have one group, the reason is stated at the version.) A production
    endpoint asks for these statements; they can also be made later, at the model version.
    """

    path: ClassVar[str] = "card"
    domain: str = choice(GENERAL, lambda: DOMAINS)
    intended_use: str | None = text(None, MAX_STATEMENT)
    limits: str | None = text(None, MAX_STATEMENT)
    no_subgroups: str | None = text(None, MAX_STATEMENT)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in STATEMENTS:
            value = getattr(self, name)
            if value is not None and not n_seen(value):
                raise SpecError("is blank; write a sentence, or leave it out", self.field_path(name))


def notice_of(manifest: Mapping[str, Any]) -> str | None:
    """The sentence that a model must carry, by its file's manifest; None where it need not carry any."""
    spec = (manifest.get("provenance") or {}).get("spec") or {}
    return NOT_FOR_CLINICAL_USE if (spec.get("card") or {}).get("domain") == MEDICAL else None


def slices_of(evaluation: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The subgroups of a model as it answers: its own, where calibration moves labels, else those of the experiment.

    Args:
        evaluation: of a model file's manifest.
    """
    found: Sequence[Mapping[str, Any]] = evaluation.get("model_subgroups") or evaluation.get("subgroups") or ()
    return found


def compared_by(evaluation: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns by which an evaluation compares subgroups: those that put test cases enough into each of two groups.

    Args:
        evaluation: of a model file's manifest; where it does not say how many cases a group has, they are enough.
    """
    return tuple(
        str(one["column"])
        for one in slices_of(evaluation)
        if sum(_is_compared(group) for group in one.get("groups") or ()) > 1
    )


def _is_compared(group: Mapping[str, Any]) -> bool:
    """Whether a group has test cases enough; a file may come from anywhere, so its number may be none."""
    n_cases = group.get("n_cases", FEWEST_CASES)
    return isinstance(n_cases, int | float) and n_cases >= FEWEST_CASES


def stated(manifest: Mapping[str, Any], statements: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What is stated about a model: in its spec, and, going before that, at its version later on.

    Args:
        manifest: of the model file.
        statements: ``intended_use``, ``limits`` and ``no_subgroups`` made at the version, some or all.
    """
    spec = ((manifest.get("provenance") or {}).get("spec") or {}).get("card") or {}
    both = {**spec, **(statements or {})}
    return {name: str(both[name]) for name in STATEMENTS if both.get(name)}


def no_width(evaluation: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """What an interval over splits without width says, where a model has one; "" where none has.

    Args:
        evaluation: of a model file's manifest.
        rows: of its models, each with ``metrics``.
    """
    if evaluation.get("means_over"):  # a template's, not over splits
        return ""
    figures = (figure for row in rows for figure in (row.get("metrics") or {}).values() if isinstance(figure, Mapping))
    ends = ((figure.get("low"), figure.get("high")) for figure in figures)
    if not any(low is not None and high is not None and abs(high - low) < _SAME for low, high in ends):
        return ""
    return "An interval without width says that all splits gave the same figure, not that it is certain."


def caution(evaluation: Mapping[str, Any], *, text: Callable[[object], str] = str) -> str:
    """That figures may be too good, and by what was found before training; "" where nothing was that says so.

    Args:
        evaluation: of a model file's manifest.
        text: how words of others are written, such as Markdown.
    """
    found = [text(finding["message"]) for finding in evaluation.get("findings") or () if finding.get("doubtful")]
    return f"The figures may be too good. {' '.join(found)}" if found else ""
