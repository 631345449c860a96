"""Several backends as one."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from superpose.backends.fitting import misfits
from superpose.backends.fleet.breaker import Breaker, BreakerRules
from superpose.backends.fleet.journal import Journal, MemoryJournal
from superpose.backends.fleet.legs import Verdict, judge, live, new_leg, results, spent, wants_more
from superpose.backends.prices import price_run
from superpose.backends.residency import Refusal, ResidencyRules, refused
from superpose.backends.residency import refusals as broken_by
from superpose.circuits import (
    Backend,
    CancellingBackend,
    Capabilities,
    Estimate,
    Program,
    ProgramResult,
    QueueingBackend,
    program_from_json,
    program_to_json,
    result_from_json,
    result_to_json,
)
from superpose.errors import DisagreementError, ProviderError, SuperposeError, UnsupportedProgramError

__all__ = ["Fleet", "FleetRules"]

_MEMBERS = "members"
_LONGEST_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRules:
    """How a fleet treats its members.

    Attributes:
        redundancy: How many members run each program, to be compared; 1 compares nothing.
        tolerance: What results of two members may differ by beyond chance, in 0 .. 1; see `compare`. What the noise of
            honest processors differs by has to fit in.
        max_strikes: How often a member may be outvoted before it is left out.
        hedge_after_s: With redundancy 1: a member that has not answered after this time gets a second one beside it,
            and the first answer counts; None for never. The slower one may charge too.
        patience_s: How long a member's run may be unreachable before the program goes elsewhere, in seconds.
        breaker: When a failing member is left alone, and for how long.
    """

    redundancy: int = 1
    tolerance: float = 0.15
    max_strikes: int = 2
    hedge_after_s: float | None = None
    patience_s: float = 300.0
    breaker: BreakerRules = field(default_factory=BreakerRules)


class Fleet:
    """Backends behind one name: a program that fails on one runs on another, and results can be held against another.

    What was handed to whom is written into a journal first, under tokens that make handing over again harmless: no
    member gets a program twice, also after a crash. With a `FileJournal`, another process goes on with `fetch`. A
    member that only runs at once (no `QueueingBackend`) cannot be asked later: after a crash in the middle of its run
    it gets the program again.

    Args:
        members: Two or more, of different names.
        rules: How they are treated.
        name: Of the fleet.
        journal: Where it is written down.
        now_s: The time, in seconds since 1970.
        sleep: What waits so many seconds, in `run`.

    Raises:
        UnsupportedProgramError: Fewer than two members, two of one name, or redundancy beyond their number.

    >>> from superpose.backends import LocalBackend
    >>> from superpose.circuits import Circuit
    >>> class Broken(LocalBackend):
    ...     name = "broken"
    ...     def run(self, program):
    ...         raise ProviderError("down", provider="broken", provider_job_id=None, retryable=True)
    >>> result = Fleet([Broken(), LocalBackend()]).run(Program(Circuit(1).x(0), shots=5))
    >>> result.counts, result.provenance["fleet"]["ran_on"], list(result.provenance["fleet"]["failed"])
    (({'1': 5},), 'local', ['broken'])
    """

    def __init__(
        self,
        members: Sequence[Backend],
        rules: FleetRules | None = None,
        *,
        name: str = "fleet",
        journal: Journal | None = None,
        now_s: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rules = rules or FleetRules()
        self._members = {member.name: member for member in members}
        if not 2 <= len(self._members) == len(members) or not 1 <= self.rules.redundancy <= len(members):
            raise UnsupportedProgramError(
                f"A fleet needs two or more members of different names and a redundancy up to their number, got "
                f"{[member.name for member in members]} and redundancy {self.rules.redundancy}."
            )
        self._name, self._now_s, self._sleep = name, now_s, sleep
        self._journal: Journal = MemoryJournal() if journal is None else journal
        self._breakers = {one: Breaker(self.rules.breaker, now_s) for one in self._members}
        self._load, self._lock = Counter[str](), Lock()
        self._current: Callable[[], ResidencyRules | None] = lambda: None

    @property
    def name(self) -> str:
        """The fleet's own name."""
        return self._name

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The members."""
        return tuple(self._members.values())

    def obey(self, current: Callable[[], ResidencyRules | None]) -> None:
        """Hand programs on only to members that the residency rules allow, which are asked for before each; what was
        handed on before is still fetched."""
        self._current = current

    def refusals(self, rules: ResidencyRules) -> tuple[Refusal, ...]:
        """Return what keeps members out, if fewer are allowed than are to run each program."""
        found = [broken_by(member, rules) for member in self._members.values()]
        if sum(not one for one in found) >= self.rules.redundancy:
            return ()
        return tuple(refusal for one in found for refusal in one)

    def capabilities(self) -> Capabilities:
        """Return what at least one member can do; a program goes to those that it fits."""
        allowed = [member for name, member in self._members.items() if not self._barred(name)]
        all_ = [member.capabilities() for member in allowed or self._members.values()]

        def most(values: list[int | None]) -> int | None:
            return None if None in values else max(value for value in values if value is not None)

        def some(what: str) -> bool:
            return any(getattr(able, what) for able in all_)

        gates = [able.gates for able in all_]
        return Capabilities(
            max_qubits=most([able.max_qubits for able in all_]),
            gates=None if None in gates else frozenset().union(*(few for few in gates if few is not None)),
            max_shots=most([able.max_shots for able in all_]),
            max_batch=most([able.max_batch for able in all_]),
            simulator=all(able.simulator for able in all_),
            exact=some("exact"),
            state_vectors=some("state_vectors"),
            initial_state=some("initial_state"),
            dynamic=some("dynamic"),
            mid_circuit=some("mid_circuit"),
            reset=some("reset"),
            feed_forward=some("feed_forward"),
        )

    def estimate(self, program: Program) -> Estimate:
        """Return the price of as many of the dearest members as run the program; unknown where one's is.

        A hedge counts as one more. What members charge for runs that fail, nobody knows before.
        """
        fitting = [self._members[name] for name in self._fitting(program)]
        prices = [price_run(program, member) for member in fitting]
        n = self.rules.redundancy + (self.rules.hedge_after_s is not None)
        known = sorted((price.usd for price in prices if price is not None), reverse=True)
        total = sum(known[:n]) if known and len(known) == len(prices) else None
        return Estimate(price_usd=total, notes={"members": [member.name for member in fitting], "redundancy": n})

    @property
    def left_out(self) -> frozenset[str]:
        """Members that were outvoted too often, and get nothing until `restore`."""
        told = self._journal.read(_MEMBERS) or {}
        return frozenset(name for name, strikes in told.items() if strikes >= self.rules.max_strikes)

    def restore(self, member: str) -> None:
        """Give a member that was left out another chance."""
        self._journal.change(_MEMBERS, lambda told: {**(told or {}), member: 0})

    def states(self) -> Mapping[str, str]:
        """Return for each member "left out", or what its breaker says: "closed", "open" or "half-open"."""
        out = self.left_out
        return {name: "left out" if name in out else one.state for name, one in self._breakers.items()}

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` on as many members as are to be compared, and on others where they fail.

        Raises:
            UnsupportedProgramError: It fits no member; the message says why for each.
            DisagreementError: No two members agree.
            ProviderError: All members that it fits have failed; retryable where one of their errors is.
        """
        run_id, pause_s = self.submit(program, secrets.token_hex(16)), 0.001
        try:
            while (result := self.fetch(run_id)) is None:
                self._sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_WAIT_S)
        finally:
            self.forget(run_id)
        return result

    def submit(self, program: Program, token: str) -> str:
        """Write ``program`` down under ``token``, hand it to its first members, and return its id.

        Raises:
            UnsupportedProgramError: It fits no member.
            ResidencyError: Rules that it obeys allow too few members.
        """
        self._fitting(program)
        key = f"run.{token}"
        made: dict[str, Any] = {"program": program_to_json(program), "legs": [], "token": token, "end": None}
        self._journal.change(key, lambda known: known or made)
        self._advance(key, program)
        return key

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        """Return the result, or None while there is none yet; what has failed meanwhile is handed to other members.

        Raises:
            DisagreementError, ProviderError: As for `run`; or no run has this id.
        """
        run = self._known(provider_job_id)
        if run["end"] is None:
            run = self._advance(provider_job_id, program_from_json(run["program"]))
        end = run["end"]
        if end is None:
            return None
        if end.get("result") is not None:
            return result_from_json(end["result"])
        if end["kind"] == "disagreement":
            raise DisagreementError(end["message"], members=end["members"])
        raise ProviderError(
            end["message"], provider=self.name, provider_job_id=provider_job_id, retryable=bool(end["retryable"])
        )

    def cancel(self, provider_job_id: str) -> None:
        """Call off what members have of a run.

        Raises:
            ProviderError: No run has this id.
        """
        self._known(provider_job_id)
        message = "The run was cancelled."
        run = self._finish(provider_job_id, {"kind": "failed", "message": message, "retryable": False})[0]
        self._call_off(run)

    def forget(self, provider_job_id: str) -> None:
        """Remove an ended run from the journal; nothing happens to one that has not ended."""
        run = self._journal.read(provider_job_id)
        if run is not None and run.get("end") is not None:
            self._journal.remove(provider_job_id)

    # -- one step ----------------------------------------------------------------------------------------------------

    def _advance(self, key: str, program: Program) -> dict[str, Any]:
        """Take a run as far as it goes without waiting, and return its document."""
        while True:
            run = self._known(key)
            if run["end"] is not None:
                return run
            for place, leg in enumerate(run["legs"]):
                if leg["result"] is None and leg["error"] is None:
                    run = self._ask(key, place, program)
            verdict = judge(program, found, tolerance=self.rules.tolerance) if (found := results(run)) else None
            enough = len(found) >= self.rules.redundancy and verdict is not None
            if enough and verdict is not None:
                return self._settle(key, run, verdict)
            more = self._begin_leg(key, program, agreed=verdict is not None)
            if more:
                continue
            if live(run) or (not found and self._may_come(run, program)):
                return run
            return self._give_up(key, run, verdict)

    def _begin_leg(self, key: str, program: Program, *, agreed: bool) -> bool:
        """Write down another leg, if one is wanted and a member is there for it; it is handed over when next asked."""
        begun = False
        rules, now_s = self.rules, self._now_s()

        def add(run: dict[str, Any] | None) -> dict[str, Any]:
            nonlocal begun
            if run is None or run["end"] is not None:
                return run or {}
            wanted = wants_more(run, rules.redundancy, agreed=agreed, hedge_after_s=rules.hedge_after_s, now_s=now_s)
            member = self._next_member(run, program) if wanted else None
            if member is None:
                return run
            begun = True
            return {**run, "legs": [*run["legs"], new_leg(member, run["token"], now_s)]}

        self._journal.change(key, add)
        return begun

    def _next_member(self, run: Mapping[str, Any], program: Program) -> str | None:
        """The member with the fewest runs that the program fits, that has none of it and is not left alone."""
        out = self.left_out | spent(run)
        there = [name for name, why in self._misfits(program).items() if not why and name not in out]
        for name in sorted(there, key=lambda name: self._load[name]):  # stable: as they were given
            if self._breakers[name].allows():
                with self._lock:
                    self._load[name] += 1
                return name
        return None

    def _ask(self, key: str, place: int, program: Program) -> dict[str, Any]:
        """Hand a leg over, or ask for its result, and write down what came of it."""
        leg = self._known(key)["legs"][place]
        member = self._members.get(leg["member"])
        if member is None:
            return self._note(key, place, error=f"{leg['member']} is no member any more.", retryable=False)
        barred = self._barred(member.name) if leg["provider_job_id"] is None else ()
        if barred:
            return self._note(key, place, error=" ".join(map(str, barred)), retryable=False)
        try:
            if not isinstance(member, QueueingBackend):
                return self._answered(key, place, member.run(program))
            if leg["provider_job_id"] is None:
                leg = {**leg, "provider_job_id": member.submit(program, leg["token"])}
                self._note(key, place, provider_job_id=leg["provider_job_id"])
            arrived = member.fetch(leg["provider_job_id"])
        except ProviderError as error:
            return self._failed(key, place, leg, error)
        except SuperposeError as error:  # the program's own fault: others would say the same, or run it
            return self._note(key, place, error=error.message, retryable=False)
        if arrived is None:
            return self._known(key) if leg["silent_since_s"] is None else self._note(key, place, silent_since_s=None)
        return self._answered(key, place, arrived)

    def _answered(self, key: str, place: int, result: ProgramResult) -> dict[str, Any]:
        run = self._note(key, place, result=dict(result_to_json(result)))
        self._breakers[run["legs"][place]["member"]].succeeded()
        return run

    def _failed(self, key: str, place: int, leg: Mapping[str, Any], error: ProviderError) -> dict[str, Any]:
        """A leg whose member cannot be reached goes on until patience ends; one that has failed has."""
        now_s = self._now_s()
        handed_over = leg["provider_job_id"] is not None
        since_s = now_s if leg["silent_since_s"] is None else leg["silent_since_s"]
        if handed_over and error.retryable and now_s - since_s < self.rules.patience_s:
            return self._note(key, place, silent_since_s=since_s)
        self._breakers[leg["member"]].failed()
        return self._note(key, place, error=error.message, retryable=error.retryable)

    # -- ends --------------------------------------------------------------------------------------------------------

    def _settle(self, key: str, run: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
        """End a run with the result that counts, and note who was outvoted."""
        found = results(run)
        chosen = found[verdict.chosen]
        told: dict[str, Any] = {
            "ran_on": verdict.chosen,
            "answered": list(found),
            "failed": {leg["member"]: leg["error"] for leg in run["legs"] if leg["error"] is not None},
            "unfinished": {leg["member"]: leg["provider_job_id"] for leg in live(run)},
            "outvoted": list(verdict.outvoted),
        }
        if verdict.agreement is not None:
            told |= {"distance": verdict.agreement.distance, "allowed_distance": verdict.agreement.allowed}
        provenance = {**chosen.provenance, "backend": self.name, "fleet": told}
        charged = [one.provenance.get("cost_usd") for one in found.values()]
        provenance.pop("cost_usd", None)
        if all(isinstance(usd, int | float) for usd in charged):
            provenance["cost_usd"] = sum(charged)
        whole = replace(chosen, provenance=provenance)
        ended, first = self._finish(key, {"kind": "result", "result": dict(result_to_json(whole))})
        if first:
            if verdict.outvoted:
                self._journal.change(_MEMBERS, lambda strikes: _struck(strikes or {}, verdict.outvoted))
            self._call_off(run)
        return ended

    def _give_up(self, key: str, run: Mapping[str, Any], verdict: Verdict | None) -> dict[str, Any]:
        """End a run that no member is left for: with what there is, or with an error that says why."""
        if verdict is not None:
            return self._settle(key, run, verdict)
        found = results(run)
        if found:
            message = (
                f"{', '.join(found)} answered differently, beyond what chance and a tolerance of "
                f"{self.rules.tolerance:g} allow, and no member is left to decide. Run it again, or elsewhere."
            )
            return self._finish(key, {"kind": "disagreement", "message": message, "members": list(found)})[0]
        reasons = "; ".join(f"{leg['member']}: {leg['error']}" for leg in run["legs"]) or "all members are left out"
        again = any(leg["retryable"] for leg in run["legs"])
        message = f"No member of {self.name} ran the program. {reasons}"
        return self._finish(key, {"kind": "failed", "message": message, "retryable": again})[0]

    def _finish(self, key: str, end: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Write an end down, unless there is one, and tell whether it is this one."""
        first = False

        def write(run: dict[str, Any] | None) -> dict[str, Any]:
            nonlocal first
            if run is None or run["end"] is not None:
                return run or {}
            first = True
            return {**run, "end": dict(end)}

        run = self._journal.change(key, write)
        if first:
            with self._lock:
                self._load.subtract(spent(run))
        return run, first

    def _call_off(self, run: Mapping[str, Any]) -> None:
        """Have members stop what nobody waits for any more; one that does not hear of it goes on."""
        for leg in live(run):
            member = self._members.get(leg["member"])
            if leg["provider_job_id"] is not None and isinstance(member, CancellingBackend):
                with suppress(SuperposeError):
                    member.cancel(leg["provider_job_id"])

    # -- what is known -----------------------------------------------------------------------------------------------

    def _may_come(self, run: Mapping[str, Any], program: Program) -> bool:
        """Whether a member that is left alone now may take the run later."""
        out = self.left_out | spent(run)
        return any(name not in out for name, why in self._misfits(program).items() if not why)

    def _fitting(self, program: Program) -> list[str]:
        """Members that can run the program, and may.

        Raises:
            ResidencyError: Residency rules allow too few members.
            UnsupportedProgramError: None can.
        """
        rules = self._current()
        out = () if rules is None else self.refusals(rules)
        if rules is not None and out:
            raise refused(self.name, out, rules)
        reasons = self._misfits(program)
        fitting = [name for name, why in reasons.items() if not why]
        if not fitting:
            told = " ".join(f"{name}: {' '.join(why)}" for name, why in reasons.items())
            raise UnsupportedProgramError(f"No member of {self.name} can run this program. {told}")
        return fitting

    def _misfits(self, program: Program) -> dict[str, tuple[str, ...]]:
        """Why each member cannot run the program, or may not; nothing of those that do."""
        return {
            name: tuple(map(str, self._barred(name))) or misfits(program, member.capabilities())
            for name, member in self._members.items()
        }

    def _barred(self, member: str) -> tuple[Refusal, ...]:
        """The residency rules that a member breaks now."""
        rules = self._current()
        return () if rules is None else broken_by(self._members[member], rules)

    def _known(self, key: str) -> dict[str, Any]:
        run = self._journal.read(key) if key.startswith("run.") else None
        if run is None:
            raise ProviderError(
                f"{self.name} has no run {key!r}.", provider=self.name, provider_job_id=key, retryable=False
            )
        return run

    def _note(self, key: str, place: int, **facts: Any) -> dict[str, Any]:
        """Write down what is new about a leg; an answer or error that is there already stays."""

        def write(run: dict[str, Any] | None) -> dict[str, Any]:
            if run is None:
                return {}
            legs = list(run["legs"])
            if legs[place]["result"] is None and legs[place]["error"] is None:
                legs[place] = {**legs[place], **facts}
            return {**run, "legs": legs}

        return self._journal.change(key, write)


def _struck(strikes: Mapping[str, int], outvoted: Sequence[str]) -> dict[str, int]:
    return {**strikes, **{name: strikes.get(name, 0) + 1 for name in outvoted}}
