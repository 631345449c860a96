"""The choice itself: a pure function of facts, candidates, objective and constraints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from superpose.backends.residency import HERE, Place, region_codes
from superpose.backends.selection.values import (
    Best,
    Candidate,
    Cheapest,
    Constraints,
    Decision,
    Objective,
    ProgramFacts,
    Soonest,
    Verdict,
    Weighted,
    inputs_from_json,
)
from superpose.errors import DecisionError

__all__ = ["out_by_nature", "replay", "select"]


def select(
    facts: ProgramFacts, candidates: Sequence[Candidate], objective: Objective, constraints: Constraints | None = None
) -> Decision:
    """Return which candidate serves the objective best within the constraints, and the reasons for each.

    Pure: the same inputs give the same decision, on any machine. Ties go to what the objective asks second, then to
    this machine, then by name. A candidate of which something is not known that the objective or a limit needs is out.

    Args:
        facts: Of the program.
        candidates: Each name once.
        objective: What is better.
        constraints: What must be; None for nothing.

    Raises:
        DecisionError: A name twice.

    >>> facts = ProgramFacts(digest="0", n_qubits=2, n_operations=3, shots=100, batch=1)
    >>> pool = [Candidate(name=n, provider="p", kind="qpu", fidelity=f, price_usd=d, wait_s=0.0)
    ...         for n, f, d in (("a", 0.9, 3.0), ("b", 0.8, 1.0), ("c", 0.4, 0.1))]
    >>> select(facts, pool, Cheapest(min_fidelity=0.7)).chosen
    'b'
    """
    limits = constraints or Constraints()
    names = [one.name for one in candidates]
    if len(set(names)) < len(names):
        raise DecisionError("Candidates must have different names.")
    out = {one.name: tuple(_against(one, objective, limits)) for one in candidates}
    able = sorted((one for one in candidates if not out[one.name]), key=lambda one: _order(one, objective))
    verdicts = [
        Verdict(name=one.name, rank=rank, score=_score(one, objective), reasons=(_standing(one),))
        for rank, one in enumerate(able, 1)
    ]
    verdicts += [
        Verdict(name=one.name, rank=None, score=None, reasons=out[one.name]) for one in candidates if out[one.name]
    ]
    chosen = able[0].name if able else None
    return Decision(
        chosen=chosen,
        why=_why(able, len(candidates), objective),
        verdicts=tuple(verdicts),
        facts=facts,
        candidates=tuple(candidates),
        objective=objective,
        constraints=limits,
    )


def replay(document: Mapping[str, Any]) -> Decision:
    """Return the decision of a document, made again from its inputs.

    Raises:
        DecisionError: It is no document of a decision, was changed since it was written, or another choice comes out
            than it says (it was made by other rules).
    """
    decision = select(*inputs_from_json(document))
    again = decision.to_json()
    if again["chosen"] != document["chosen"] or again["verdicts"] != document["verdicts"]:
        raise DecisionError(
            f"The document says {document['chosen']!r}; made again from its inputs it is {again['chosen']!r}."
        )
    return decision


def _against(one: Candidate, objective: Objective, limits: Constraints) -> Iterator[str]:
    """Why a candidate is out."""
    why = one.reasons or tuple(out_by_nature(one, limits))
    yield from why
    if why:
        return
    if limits.parametric is not None and one.parametric != limits.parametric:
        yield f"It {'compiles' if limits.parametric else 'does not compile'} for new values."
    yield from _at_least("fidelity", one.fidelity, limits.min_fidelity)
    yield from _at_most("price", one.price_usd, limits.max_price_usd, "$")
    yield from _at_most("wait", one.wait_s, limits.max_wait_s, "s")
    if isinstance(objective, Cheapest):
        yield from _at_least("fidelity", one.fidelity, objective.min_fidelity)
        yield from _known("price", one.price_usd)
    elif isinstance(objective, Best):
        yield from _known("fidelity", one.fidelity)
        yield from _at_most("price", one.price_usd, objective.max_price_usd, "$")
    elif isinstance(objective, Soonest):
        yield from _known("wait", one.wait_s)
        yield from _at_least("fidelity", one.fidelity, objective.min_fidelity or None)
    else:
        weights = (objective.fidelity, objective.per_usd, objective.per_hour)
        values = (("fidelity", one.fidelity), ("price", one.price_usd), ("wait", one.wait_s))
        for weight, (what, value) in zip(weights, values, strict=True):
            if weight:
                yield from _known(what, value)


def out_by_nature(one: Candidate, limits: Constraints) -> Iterator[str]:
    """Yield why a candidate is out whatever the program, told without asking the backend."""
    if one.name in limits.exclude:
        yield "It is left out by name."
    if limits.providers is not None and one.provider not in limits.providers:
        yield f"It is of provider {one.provider!r}, not {_either(limits.providers)}."
    if one.kind not in limits.kinds:
        yield f"It is a {one.kind}, not {_either(limits.kinds)}."
    if limits.regions is not None and not _within(one, limits.regions):
        where = "does not tell its region" if one.region is None else f"is in region {one.region!r}"
        yield f"It {where}; asked is {_either(limits.regions)}."
    if limits.residency is not None:
        whose = f" of {limits.residency.owner}" if limits.residency.owner else ""
        for refusal in limits.residency.refusals(Place(one.name, one.region, one.kind == "qpu")):
            yield f"Residency{whose}: {refusal}"


def _within(one: Candidate, regions: frozenset[str]) -> bool:
    """Whether a candidate is in one of the regions; this machine is in all."""
    return one.provider == "local" or one.region == HERE or bool(region_codes(one.provider, one.region) & regions)


def _at_least(what: str, value: float | None, limit: float | None) -> Iterator[str]:
    if limit is not None and (value is None or value < limit):
        yield f"Its {what} is {'unknown' if value is None else f'{value:.4g}'}; at least {limit:g} is asked."


def _at_most(what: str, value: float | None, limit: float | None, unit: str) -> Iterator[str]:
    if limit is not None and (value is None or value > limit):
        shown = "unknown" if value is None else f"{value:.4g} {unit}"
        yield f"Its {what} is {shown}; at most {limit:g} {unit} is asked."


def _known(what: str, value: float | None) -> Iterator[str]:
    if value is None:
        yield f"Its {what} is unknown, and the objective needs it."


def _score(one: Candidate, objective: Objective) -> float:
    """What the objective makes of a candidate that is in."""
    fidelity, price, wait = one.fidelity or 0.0, one.price_usd or 0.0, one.wait_s or 0.0
    if isinstance(objective, Cheapest):
        return price
    if isinstance(objective, Best):
        return fidelity
    if isinstance(objective, Soonest):
        return wait + (one.run_s or 0.0)
    return objective.fidelity * fidelity - objective.per_usd * price - objective.per_hour * wait / 3600.0


def _order(one: Candidate, objective: Objective) -> tuple[float | bool | str, ...]:
    score = _score(one, objective)
    loss = 1.0 - (one.fidelity or 0.0)
    price = math.inf if one.price_usd is None else one.price_usd
    wait = math.inf if one.wait_s is None else one.wait_s
    first = -score if isinstance(objective, Best | Weighted) else score
    rest = (price, wait) if isinstance(objective, Best) else (loss, price, wait)
    return (first, *rest, one.provider != "local", one.name)


def _standing(one: Candidate) -> str:
    return f"Fidelity {_shown(one.fidelity, '')}, price {_shown(one.price_usd, ' $')}, wait {_shown(one.wait_s, ' s')}."


def _why(able: Sequence[Candidate], n_candidates: int, objective: Objective) -> str:
    if not able:
        return f"None of {n_candidates} backends will do."
    best = able[0]
    words = {
        Cheapest: "the cheapest of enough fidelity",
        Best: "the one of highest fidelity within the price",
        Soonest: "the soonest of enough fidelity",
        Weighted: "the best of fidelity, price and wait as weighted",
    }[type(objective)]
    others = len(able) - 1
    beaten = "the only one that will do" if not others else f"{words}, before {able[1].name}"
    return f"{best.name} is {beaten}: {len(able)} of {n_candidates} backends would do. {_standing(best)}"


def _shown(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.4g}{unit}"


def _either(names: frozenset[Any]) -> str:
    return " or ".join(sorted(names)) or "none"
