"""What a fleet knows of one program: which members have it, what came of that, and what is to be done next.

Pure functions of a journal's document; nothing here asks a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.backends.fleet.agreement import Agreement, compare
from superpose.circuits import Program, ProgramResult, result_from_json

__all__ = ["Verdict", "judge", "live", "new_leg", "results", "spent", "wants_more"]

Leg = dict[str, Any]
Document = Mapping[str, Any]


def new_leg(member: str, token: str, at_s: float) -> Leg:
    """A leg that is about to be handed over: written down first, so that a crash in between runs nothing twice."""
    return {
        "member": member,
        "token": f"{token}.{member}",
        "provider_job_id": None,
        "result": None,
        "error": None,
        "retryable": None,
        "begun_at_s": at_s,
        "silent_since_s": None,
    }


def live(run: Document) -> list[Leg]:
    """Legs that have neither a result nor an error yet."""
    return [leg for leg in run["legs"] if leg["result"] is None and leg["error"] is None]


def spent(run: Document) -> set[str]:
    """Members that have a leg of this run: none gets a second one, so none can bill twice."""
    return {leg["member"] for leg in run["legs"]}


def results(run: Document) -> dict[str, ProgramResult]:
    """What members answered, by name."""
    return {leg["member"]: result_from_json(leg["result"]) for leg in run["legs"] if leg["result"] is not None}


def wants_more(run: Document, redundancy: int, *, agreed: bool, hedge_after_s: float | None, now_s: float) -> bool:
    """Whether another member is to get the program now.

    As many as are to be compared; one more where those that answered disagree; one more where a single leg is late.
    """
    going, answered = live(run), [leg for leg in run["legs"] if leg["result"] is not None]
    if len(going) + len(answered) < redundancy:
        return True
    if len(answered) >= redundancy > 1 and not agreed:
        return not going
    late = hedge_after_s is not None and all(now_s - leg["begun_at_s"] >= hedge_after_s for leg in going)
    return redundancy == 1 and len(going) == 1 and not answered and late


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comparing said.

    Attributes:
        chosen: The member whose result counts.
        agreement: With the member that agrees with it best; None where nothing was compared.
        outvoted: Members that agree with no member of the majority.
    """

    chosen: str
    agreement: Agreement | None
    outvoted: tuple[str, ...]


def judge(
    program: Program,
    found: Mapping[str, ProgramResult],
    *,
    tolerance: float,
    against: Callable[..., Agreement] = compare,
) -> Verdict | None:
    """Return whose result counts: that of the member with which most others agree; None where no two do.

    A single result counts as it is.
    """
    names: Sequence[str] = list(found)
    if len(names) == 1:
        return Verdict(names[0], None, ())
    pairs = {
        (a, b): against(program, found[a], found[b], tolerance=tolerance)
        for place, a in enumerate(names)
        for b in names[place + 1 :]
    }
    friends = {name: [pair for pair, said in pairs.items() if name in pair and said.agree] for name in names}
    chosen = max(names, key=lambda name: len(friends[name]))
    if not friends[chosen]:
        return None
    best = min((pairs[pair] for pair in friends[chosen]), key=lambda said: said.distance - said.allowed)
    majority = {chosen} | {name for pair in friends[chosen] for name in pair}
    return Verdict(chosen, best, tuple(name for name in names if name not in majority))
