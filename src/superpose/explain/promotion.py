"""The promotion gate: what a model version must have before it may answer at a production endpoint.

A pure function of facts: the manifest of its file, the evidence that its training job left beside it, and what people
have stated about it. Nothing is computed or read here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.explain.samples import strongest_first
from superpose.learning.card import FEWEST_CASES, compared_by, slices_of, stated

__all__ = ["REQUIREMENTS", "PromotionReport", "Requirement", "check_promotion", "how_to_have"]

Facts = Mapping[str, Any]

_SHOWN = 5
_AGAIN = "Train the model again with this release: the job computes it."
_NO_JOB = {
    "family": "No job trains families, so it has to come with the file: fit the model, give "
    "save(FILE, ModelFacts(...)) its {member} and import the file; ",
    "file": "The version was imported and its file lacks it: import a file written with it (ModelFacts, {member}), or "
    "train the model by a job, which computes it; ",
    "number": "No job of a spec trains models of numbers, so it has to come with the file: fit the model, give "
    "save(FILE, ModelFacts(...)) its {member} and import the file; ",
    "study": "The version was imported and its file lacks it: import a file that the template of this release wrote; ",
}
_ONLY_JOBS = {
    "family": "Only training jobs leave it, and no job trains families: ",
    "file": "Only training jobs leave it, and the version was imported: train the model by a job; ",
    "number": "Only training jobs leave it, and no job of a spec trains models of numbers: ",
    "study": "Only training jobs leave it, and a template's model comes as a file: ",
}
_COMPARED = {
    "demand": "Train the template again with variants beside the model (--beside ridge)",
    "pneumonia": "Train the template again with at least 2 seeds and, beside the model, a whole network (--beside "
    "strong_cnn) or its head with what heads are compared with (--beside hybrid_head,classical_twin)",
}
"""How a template's study can be compared, which has no spec that could name controls."""
_OVERRIDE = "an admin can override it with a reason."
_NO_SUBGROUPS = "superpose models annotate MODEL --version N --no-subgroups REASON."


@dataclass(frozen=True)
class Requirement:
    """One thing that a production model needs, and whether a version has it.

    Attributes:
        name: what it is called in answers and overrides.
        title: what a reader reads.
        found: what the version has, in a few words; None where it is missing.
        how: how to meet it.
    """

    name: str
    title: str
    found: str | None
    how: str

    @property
    def met(self) -> bool:
        """Whether the version has it."""
        return self.found is not None

    def to_dict(self) -> dict[str, Any]:
        """The requirement as JSON values; ``how`` is None where it is met."""
        return {
            "name": self.name,
            "title": self.title,
            "met": self.met,
            "found": self.found,
            "how": None if self.met else self.how,
        }


@dataclass(frozen=True)
class PromotionReport:
    """All requirements, in order."""

    requirements: tuple[Requirement, ...]

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """Those that are not met."""
        return tuple(one for one in self.requirements if not one.met)

    @property
    def ready(self) -> bool:
        """Whether none is missing."""
        return not self.missing

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "ready": self.ready,
            "missing": [one.name for one in self.missing],
            "requirements": [one.to_dict() for one in self.requirements],
        }


def check_promotion(manifest: Facts, evidence: Facts, statements: Facts) -> PromotionReport:
    """What a model version has and lacks for production.

    Args:
        manifest: of its model file.
        evidence: what its training job left: ``explanation`` and ``energy``; may lack any.
        statements: ``intended_use``, ``limits`` and ``no_subgroups`` made at the version; they go before its spec's.
    """
    facts = _Known(manifest, manifest.get("evaluation") or {}, evidence, stated(manifest, statements))
    refused = (evidence.get("explanation") or {}).get("refused")
    reasons = {"explanation": f"The training job could not make one: {refused}"} if refused else {}
    origin = _origin(manifest, evidence)
    template = str((manifest.get("provenance") or {}).get("template"))
    compared = _COMPARED.get(template, "Train the template again with variants beside the model")
    if origin == "job" and "template" in (manifest.get("provenance") or {}):
        reasons |= {"controls": f"{compared}; {_OVERRIDE}"}
        reasons |= {"subgroups": f"A template's study has none. Say why: {_NO_SUBGROUPS}"}
    if origin == "study":
        reasons |= {"controls": f"{compared}, and import the file that it leaves; {_OVERRIDE}"}
    before = {"subgroups": _compares_nothing(facts.evaluation)}
    return PromotionReport(
        tuple(
            Requirement(
                name, title, found(facts), before.get(name, "") + (reasons.get(name) or _cure(origin, how, member))
            )
            for name, (title, found, how, member) in REQUIREMENTS.items()
        )
    )


def _compares_nothing(evaluation: Facts) -> str:
    """Which columns have fewer than two groups of test cases enough, and why; "" where there is none."""
    columns = [one for one in slices_of(evaluation) if one.get("groups")]
    compared = compared_by(evaluation)
    said = [f"by {one['column']} {_too_few(one['groups'])}" for one in columns if one["column"] not in compared]
    return f"Nothing is compared: {', '.join(said)}. " if said else ""


def _too_few(groups: Sequence[Facts]) -> str:
    """Why groups compare nothing."""
    if len(groups) == 1:
        n_cases = groups[0].get("n_cases")
        return f"all {f'{n_cases} ' if n_cases else ''}test cases are in one group ({groups[0]['group']})"
    sizes = ", ".join(f"{one['group']} {one.get('n_cases', '')}".strip() for one in groups)
    return f"fewer than two groups have {FEWEST_CASES} test cases ({sizes})"


def _origin(manifest: Facts, evidence: Facts) -> str:
    """Where a version is from: "job"; a file of a "family", a "number", a "study" on one kind of data, or "file"."""
    if manifest.get("kind") == "family_classifier":
        return "family"
    if not evidence.get("imported"):
        return "job"
    provenance = manifest.get("provenance") or {}
    if "template" in provenance:
        return "study"
    return "number" if manifest.get("kind") == "hybrid_regressor" else "file"


def _cure(origin: str, how: str, member: str | None) -> str:
    """How to meet a requirement, true for where the version comes from.

    Args:
        origin: from `_origin`.
        how: of a version that a job trained.
        member: what of `superpose.learning.model_file.ModelFacts` holds it; "" where only a job's evidence does, None
            where ``how`` is true for all, "subgroups" where a statement will do.
    """
    if origin == "job" or member is None:
        return how
    if member == "subgroups":
        return f"Say why there are none: {_NO_SUBGROUPS}"
    return (_NO_JOB[origin].format(member=member) if member else _ONLY_JOBS[origin]) + _OVERRIDE


def how_to_have(name: str, manifest: Facts, evidence: Facts) -> str:
    """How a version gets what the requirement ``name`` asks for, true for where it comes from; without overrides."""
    _, _, how, member = REQUIREMENTS[name]
    return _cure(_origin(manifest, evidence), how, member).removesuffix(f"; {_OVERRIDE}").rstrip(".") + "."


@dataclass(frozen=True)
class _Known:
    manifest: Facts
    evaluation: Facts
    evidence: Facts
    stated: Mapping[str, str]


def _data(known: _Known) -> str | None:
    data = known.manifest.get("data") or {}
    if data.get("n_series") and data.get("n_periods") and data.get("digest"):  # series are split by time, at origins
        series = f"{data['n_series']} series, {data['n_periods']} {data['frequency']} periods to {data['last']}"
        return f"{series}, digest {str(data['digest'])[:12]}"
    if not (data.get("n_rows") and data.get("split") and data.get("digest")):
        return None
    parts = ", ".join(f"{count} {part}" for part, count in data["split"].items())
    return f"{data['n_rows']} rows ({parts}), digest {str(data['digest'])[:12]}"


def _metrics(known: _Known) -> str | None:
    own, metric = known.evaluation.get("model_metrics") or {}, known.evaluation.get("primary_metric")
    if own.get(metric) is None or not math.isfinite(own[metric]):
        return None
    seen = (known.evaluation.get("fine_tuning") or {}).get("seen_by_parent") or {"test": [0, 0]}
    n_seen, of = seen["test"]
    parents = (
        f"; its parent {'had' if seen['certain'] else 'may have'} seen {n_seen} of the {of} rows" if n_seen else ""
    )
    return f"{metric} {own[metric]:.3f} of {len(own)} metrics{parents}"


def _controls(known: _Known) -> str | None:
    against = [str(row["against"]) for row in known.evaluation.get("comparisons") or ()]
    return f"compared with {', '.join(against)}" if against else None


def _subgroups(known: _Known) -> str | None:
    columns = compared_by(known.evaluation)
    if columns:
        return f"by {', '.join(columns)}"
    reason = known.stated.get("no_subgroups")
    return f"no subgroups: {reason}" if reason else None


def _calibration(known: _Known) -> str | None:
    intervals = known.evaluation.get("intervals") or {}
    if "measured" in intervals:
        share, measured = 100 * intervals["coverage"], 100 * intervals["measured"]
        return f"{share:g} % intervals held the true number {measured:.1f} % of the time ({intervals['of']})"
    after = (known.evaluation.get("calibration") or {}).get("after") or {}
    if not all(math.isfinite(after.get(name, math.nan)) for name in ("ece", "brier")):
        return None
    return f"expected calibration error {after['ece']:.3f}, Brier score {after['brier']:.3f}"


def _energy(known: _Known) -> str | None:
    energy = known.evidence.get("energy") or {}
    if "energy_wh" not in energy:
        return None
    return f"about {energy['energy_wh']:.3g} Wh, {energy['cost_usd']:.2f} US dollars"


def _explanation(known: _Known) -> str | None:
    sample = known.evidence.get("explanation") or {}
    columns = [name for name, _ in strongest_first(sample)] if sample.get("columns") else []
    if not columns:
        return None
    rows = f"{sample['n_rows']} {sample.get('rows_are', 'test rows')}"
    return f"{sample['method']} of {rows}: {', '.join(columns[:_SHOWN])}"


def _baseline(known: _Known) -> str | None:
    baseline = known.manifest.get("drift_baseline") or {}
    columns = baseline.get("columns")
    return f"{len(columns)} columns over {baseline['n_rows']} training rows" if columns else None


def _statement(name: str) -> Callable[[_Known], str | None]:
    return lambda known: known.stated.get(name)


def _state(name: str) -> str:
    option = name.replace("_", "-")
    return f"State it: superpose models annotate MODEL --version N --{option} TEXT, or card.{name} in the spec."


REQUIREMENTS: Mapping[str, tuple[str, Callable[[_Known], str | None], str, str | None]] = {
    "data": ("model card: data and splits", _data, _AGAIN, "data"),
    "metrics": ("model card: metrics on test rows", _metrics, _AGAIN, "evaluation"),
    "controls": (
        "model card: controls or a baseline",
        _controls,
        "Train it again with evaluation.controls or evaluation.baseline in the spec.",
        "evaluation",
    ),
    "subgroups": (
        "fairness slices",
        _subgroups,
        f"Train it again with a column of two groups of {FEWEST_CASES} test cases or more in evaluation.subgroups, or "
        f"say why there is none: {_NO_SUBGROUPS}",
        "subgroups",
    ),
    "calibration": ("model card: calibration", _calibration, _AGAIN, "evaluation"),
    "intended_use": ("model card: intended use", _statement("intended_use"), _state("intended_use"), None),
    "limits": ("model card: limits", _statement("limits"), _state("limits"), None),
    "energy_and_cost": ("model card: energy and cost", _energy, _AGAIN, ""),
    "explanation": ("explanation sample", _explanation, _AGAIN, ""),
    "drift_baseline": ("drift baseline", _baseline, _AGAIN, "baseline"),
}
"""Name -> title, what a version has of it, how to meet it after a training job, and where else it can come from (see
`_cure`): adding a requirement is adding a row."""
