"""What a choice of a backend is made of: objectives, constraints, candidates, and the decision with its reasons."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from types import MappingProxyType
from typing import Any, TypeAlias

from superpose.backends.residency import ResidencyRules
from superpose.circuits import BackendKind
from superpose.errors import DecisionError, ResidencyRulesError

__all__ = [
    "Best",
    "Candidate",
    "Cheapest",
    "Constraints",
    "Decision",
    "Objective",
    "ProgramFacts",
    "Soonest",
    "Verdict",
    "Weighted",
]

FORMAT, VERSION = "superpose.decision", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheapest:
    """The lowest price among backends of at least this fidelity; of equal prices, the higher fidelity.

    Attributes:
        min_fidelity: Least probability of a shot without error.
    """

    min_fidelity: float = 0.5

    def __post_init__(self) -> None:
        _within("min_fidelity", self.min_fidelity, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The highest fidelity among backends of at most this price; of equal ones, the lower price.

    Attributes:
        max_price_usd: Most that the run may cost; None for any price.
    """

    max_price_usd: float | None = None

    def __post_init__(self) -> None:
        _within("max_price_usd", self.max_price_usd, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Soonest:
    """The shortest time to the result, wait and run together, among backends of at least this fidelity.

    Attributes:
        min_fidelity: Least probability of a shot without error.
    """

    min_fidelity: float = 0.0

    def __post_init__(self) -> None:
        _within("min_fidelity", self.min_fidelity, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """The highest ``fidelity * F - per_usd * price - per_hour * wait``.

    Attributes:
        fidelity: What a run without any error is worth.
        per_usd: What a US dollar is worth, on the same scale.
        per_hour: What an hour of waiting is worth.
    """

    fidelity: float = 1.0
    per_usd: float = 0.01
    per_hour: float = 0.05

    def __post_init__(self) -> None:
        for name in ("fidelity", "per_usd", "per_hour"):
            _within(name, getattr(self, name), math.inf)


Objective: TypeAlias = Cheapest | Best | Soonest | Weighted

OBJECTIVES: Mapping[str, type[Cheapest] | type[Best] | type[Soonest] | type[Weighted]] = MappingProxyType(
    {"cheapest": Cheapest, "best": Best, "soonest": Soonest, "weighted": Weighted}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a backend must be, whatever the objective; None leaves it open.

    Attributes:
        providers: Names of providers, one of which it must be of.
        regions: Names of regions (see `superpose.backends.residency.check_region`), in one of which it must be; a
            backend that does not tell its region is in none. This machine is in every region.
        kinds: "simulator", "emulator", "qpu". Emulators err on purpose: they are taken only where they are asked for.
        exclude: Names of backends that are left out.
        parametric: Whether new values must run without compiling again.
        min_fidelity, max_price_usd, max_wait_s: Limits; what is not known is beyond them.
        residency: Rules of where programs may go, a project's for instance, beside all this.
    """

    providers: frozenset[str] | None = None
    regions: frozenset[str] | None = None
    kinds: frozenset[BackendKind] = frozenset({"simulator", "qpu"})
    exclude: frozenset[str] = frozenset()
    parametric: bool | None = None
    min_fidelity: float | None = None
    max_price_usd: float | None = None
    max_wait_s: float | None = None
    residency: ResidencyRules | None = None

    def __post_init__(self) -> None:
        for name in ("providers", "regions", "kinds", "exclude"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise DecisionError(f"{name} takes several names, got the string {value!r}; put it into a set.")
            if value is not None:
                object.__setattr__(self, name, frozenset(value))
        unknown = self.kinds - {"simulator", "emulator", "qpu"}
        if unknown:
            raise DecisionError(f"Kinds are simulator, emulator and qpu, got {', '.join(sorted(unknown))}.")
        _within("min_fidelity", self.min_fidelity, 1.0)
        _within("max_price_usd", self.max_price_usd, math.inf)
        _within("max_wait_s", self.max_wait_s, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFacts:
    """What is known of the program.

    Attributes:
        digest: Of the program.
        n_qubits, n_operations: Of its circuit.
        shots: Per batch entry; None for exact answers.
        batch: Entries.
    """

    digest: str
    n_qubits: int
    n_operations: int
    shots: int | None
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backend, and what is expected of the program there; None where nobody knows.

    Attributes:
        name, provider, kind, region: Of the backend.
        parametric: Whether new values run there without compiling again.
        reasons: Why the program cannot run there, a sentence each; empty where it can.
        fidelity, price_usd, wait_s, run_s: See `Estimate`.
        notes: How these were found.
    """

    name: str
    provider: str
    kind: BackendKind
    region: str | None = None
    parametric: bool = False
    reasons: tuple[str, ...] = ()
    fidelity: float | None = None
    price_usd: float | None = None
    wait_s: float | None = None
    run_s: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided about one candidate.

    Attributes:
        name: Of the candidate.
        rank: 1 for the chosen one; None where it is out.
        score: What the objective makes of it, in dollars, fidelity, seconds or worth; None where it is out.
        reasons: Why it is out, or how it stands.
    """

    name: str
    rank: int | None
    score: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A choice with everything it was made of, so that it can be made again.

    Attributes:
        chosen: Name of the backend; None where none will do.
        why: In a sentence.
        verdicts: The ranked first, then those that are out.
        facts, candidates, objective, constraints: What it was made of.
    """

    chosen: str | None
    why: str
    verdicts: tuple[Verdict, ...]
    facts: ProgramFacts
    candidates: tuple[Candidate, ...]
    objective: Objective
    constraints: Constraints

    def to_json(self) -> dict[str, Any]:
        """Return the document of the decision: all inputs, the outcome and a digest of both; see `replay`."""
        kind = next(name for name, cls in OBJECTIVES.items() if isinstance(self.objective, cls))
        limits: dict[str, Any] = {
            name: sorted(value) if isinstance(value, frozenset) else value
            for name, value in asdict(self.constraints).items()
        }
        rules = self.constraints.residency
        limits["residency"] = None if rules is None else {**rules.to_json(), "owner": rules.owner}
        document = {
            "format": FORMAT,
            "version": VERSION,
            "facts": asdict(self.facts),
            "candidates": [
                {**asdict(one), "reasons": list(one.reasons), "notes": dict(one.notes)} for one in self.candidates
            ],
            "objective": {"kind": kind, **asdict(self.objective)},
            "constraints": limits,
            "chosen": self.chosen,
            "why": self.why,
            "verdicts": [{**asdict(one), "reasons": list(one.reasons)} for one in self.verdicts],
        }
        return {**document, "digest": digest_of(document)}


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a decision's document, its own digest left out, in hexadecimal."""
    kept = {name: value for name, value in document.items() if name != "digest"}
    try:
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DecisionError(f"This is no decision in JSON values: {error}.") from None
    return sha256(text.encode()).hexdigest()


def inputs_from_json(
    document: Mapping[str, Any],
) -> tuple[ProgramFacts, tuple[Candidate, ...], Objective, Constraints]:
    """Return what the decision of a document was made of.

    Raises:
        DecisionError: It is no document of a decision, or was changed since.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT or document.get("version") != VERSION:
        raise DecisionError(f"This is no document of format {FORMAT!r}, version {VERSION}.")
    if document.get("digest") != digest_of(document):
        raise DecisionError("The decision's digest does not fit its content; it was changed since it was written.")
    try:
        facts = ProgramFacts(**document["facts"])
        candidates = tuple(Candidate(**{**row, "reasons": tuple(row["reasons"])}) for row in document["candidates"])
        told = dict(document["objective"])
        objective: Objective = OBJECTIVES[told.pop("kind")](**told)
        sets = {f.name for f in fields(Constraints)} & {"providers", "regions", "kinds", "exclude"}
        limits: dict[str, Any] = {
            name: frozenset(value) if name in sets and value is not None else value
            for name, value in document["constraints"].items()
        }
        rules = limits.pop("residency", None)
        if rules is not None:
            told = dict(rules)
            limits["residency"] = ResidencyRules.from_json(told, told.pop("owner"))
        return facts, candidates, objective, Constraints(**limits)
    except (KeyError, TypeError, ValueError, AttributeError, ResidencyRulesError) as error:
        raise DecisionError(f"This is no document of a decision: {error!r}.") from None


def _within(name: str, value: float | None, largest: float) -> None:
    if value is None:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0.0 <= value <= largest
        or value == math.inf
    ):
        allowed = "0 or more" if largest == math.inf else f"in 0 .. {largest:g}"
        raise DecisionError(f"{name} must be a number {allowed}, got {value!r}.")
