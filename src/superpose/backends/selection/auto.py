"""`backend="auto"`: a backend that chooses, for each program, the one that runs it, and writes down why."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from superpose.backends.estimates import BackendEstimate, Knowledge, estimate_backends
from superpose.backends.fitting import CUT, TOO_WIDE
from superpose.backends.local import LocalBackend
from superpose.backends.providers import find_backend
from superpose.backends.residency import Refusal, ResidencyRules, confine
from superpose.backends.selection.selecting import out_by_nature, select
from superpose.backends.selection.values import (
    Candidate,
    Constraints,
    Decision,
    Objective,
    ProgramFacts,
    Weighted,
)
from superpose.circuits import Backend, BackendInfo, Capabilities, Estimate, Program, ProgramResult
from superpose.errors import NoBackendFitsError

__all__ = ["AutoBackend", "Selection", "candidates_of", "facts_of"]

MAX_DECISIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How a backend is to be chosen; stands in the place of a backend's name.

    Attributes:
        objective: What is better. The default weighs fidelity against price (0.01 for a dollar) and wait (0.05 for an
            hour).
        constraints: What must be.
        among: Names of the backends that are looked at; None for all there are.
        knowledge: Prices and waits of one's own.
    """

    objective: Objective = field(default_factory=Weighted)
    constraints: Constraints = field(default_factory=Constraints)
    among: Sequence[str] | None = None
    knowledge: Knowledge | None = None

    def decide(self, program: Program) -> Decision:
        """Return the decision for ``program``; nothing is run or charged.

        Cost: see `estimate_backends`.
        """
        estimates = estimate_backends(program, self.among, self.knowledge, wanted=self._may_do)
        return select(facts_of(program), candidates_of(estimates), self.objective, self.constraints)

    def _may_do(self, info: BackendInfo) -> bool:
        """Whether a backend is worth asking: it is not out whatever it says."""
        return not any(out_by_nature(_candidate(BackendEstimate(info=info, estimate=None)), self.constraints))


class AutoBackend:
    """Runs each program where `Selection` says, and tells the decision under ``provenance["selection"]``.

    Programs of one circuit, observables, shots and batch size are decided once for an instance, so that a loop over
    values stays where it began.

    Args:
        selection: How to choose.
        prepare: Called with the backend that was chosen; the one that it returns runs the program.
    """

    def __init__(self, selection: Selection | None = None, prepare: Callable[[Backend], Backend] | None = None) -> None:
        self.selection = selection or Selection()
        self._prepare = prepare
        self._decisions: OrderedDict[tuple[Any, ...], Decision] = OrderedDict()
        self._lock = threading.Lock()
        self._current: Callable[[], ResidencyRules | None] | None = None

    @property
    def name(self) -> str:
        """The name "auto"."""
        return "auto"

    def capabilities(self) -> Capabilities:
        """Return what can be asked: as of this machine, beside which others may be chosen; larger circuits too."""
        return replace(LocalBackend().capabilities(), max_qubits=None, pricing=None)

    def obey(self, current: Callable[[], ResidencyRules | None]) -> None:
        """Choose only what the residency rules allow, in the place of those of the selection; they are asked for before
        each program, and where they have changed, it is decided anew."""
        self._current = current

    def refusals(self, rules: ResidencyRules) -> tuple[Refusal, ...]:
        """Return nothing: what may be chosen turns out when it is decided, and "local" always may."""
        return ()

    def decide(self, program: Program) -> Decision:
        """Return the decision for ``program``, which counts for the same program with other values.

        Raises:
            NoBackendFitsError: None will do; ``details`` hold the reasons of each and the decision's document.
        """
        selection = self._selection_now()
        rules = selection.constraints.residency
        asked = (program.circuit.digest, program.observables, program.shots, program.batch)
        key = (*asked, program.initial_state is None, rules)
        with self._lock:
            known = self._decisions.get(key)
        if known is not None:
            return known
        found = selection.decide(program)
        if found.chosen is None:
            reasons = {one.name: list(one.reasons) for one in found.verdicts}
            shown = "; ".join(f"{name}: {' '.join(why)}" for name, why in list(reasons.items())[:5])
            more = f"; and {len(reasons) - 5} more" if len(reasons) > 5 else ""
            raise NoBackendFitsError(
                f"{found.why} {shown}{more}. Ask for less, or change the program.{_cut_hint(program, reasons)}",
                reasons=reasons,
                decision=found.to_json(),
            )
        with self._lock:
            self._decisions[key] = found
            if len(self._decisions) > MAX_DECISIONS:
                self._decisions.popitem(last=False)
        return found

    def _selection_now(self) -> Selection:
        """The selection, under the rules that count now."""
        if self._current is None:
            return self.selection
        return replace(self.selection, constraints=replace(self.selection.constraints, residency=self._current()))

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` where it is best, see `decide`; provenance names the backend and holds the decision.

        Raises:
            NoBackendFitsError: None will do.
            ResidencyError: What its provider's list says of the chosen backend is not what it says itself.
            SuperposeError: What the chosen backend raises.
        """
        decision = self.decide(program)
        chosen = find_backend(str(decision.chosen))
        if self._current is not None:
            confine(chosen, self._current)  # a package's list may say another region than its backend
        result = (chosen if self._prepare is None else self._prepare(chosen)).run(program)
        return replace(result, provenance={**result.provenance, "selection": decision.to_json()})


def facts_of(program: Program) -> ProgramFacts:
    """Return what a decision keeps of a program."""
    return ProgramFacts(
        digest=program.digest,
        n_qubits=program.n_qubits,
        n_operations=program.circuit.n_instructions,
        shots=program.shots,
        batch=program.batch,
    )


def _cut_hint(program: Program, reasons: Mapping[str, Sequence[str]]) -> str:
    """What to do about a program that is wider than backends which would do otherwise."""
    narrow = [name for name, why in reasons.items() if any(TOO_WIDE in sentence for sentence in why)]
    if not narrow or not program.observables:
        return ""
    return f" Too wide for {', '.join(narrow[:3])}: backend={CUT + narrow[0]!r} cuts it, at a price in shots."


def candidates_of(estimates: Sequence[BackendEstimate]) -> tuple[Candidate, ...]:
    """Return estimates as candidates."""
    return tuple(_candidate(one) for one in estimates)


def _candidate(one: BackendEstimate) -> Candidate:
    info = one.info
    found = Estimate() if one.estimate is None else one.estimate
    return Candidate(
        name=info.name,
        provider=info.provider,
        kind=info.kind or "qpu",  # of an unknown kind: whatever holds for processors holds for it
        region=info.region,
        parametric=one.parametric,
        reasons=one.reasons if one.estimate is None else (),
        fidelity=found.fidelity,
        price_usd=found.price_usd,
        wait_s=found.wait_s,
        run_s=found.run_s,
        notes=dict(found.notes),
    )
