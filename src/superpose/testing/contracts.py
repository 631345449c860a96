"""What a suite for backends is made of: contracts by name, and what was found about each."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from superpose.circuits import Circuit, Program, ProgramResult, QueueingBackend

__all__ = ["ConformanceReport", "Contract", "Finding", "Outcome", "Trial", "findings_of", "require"]

Outcome: TypeAlias = Literal["passed", "not offered", "failed", "not looked at"]
"""Kept; the backend says that it does not have it; broken; left out by who asked."""

QUEUE_SHOTS = 100


@dataclass(kw_only=True)
class Trial:
    """How a backend is checked, and what was handed over to its queue so far.

    Attributes:
        tolerance: What expectations and probabilities may be off beyond sampling, for backends with noise.
        timeout_s: How long a result may take.
        pause_s: Time between two questions.
    """

    tolerance: float = 0.0
    timeout_s: float = 600.0
    pause_s: float = 0.05
    _tokens: list[str] = field(default_factory=list)
    _ids: list[str] = field(default_factory=list)

    PROGRAMS = (Program(Circuit(2).x(1), shots=QUEUE_SHOTS), Program(Circuit(2).x(0).x(0), shots=QUEUE_SHOTS))
    """What is handed over: bits 01 and 00."""

    def tokens(self) -> Sequence[str]:
        """The tokens of the two programs, new for each trial."""
        if not self._tokens:
            self._tokens = [secrets.token_hex(8) for _ in self.PROGRAMS]
        return self._tokens

    def ids(self, backend: QueueingBackend) -> Sequence[str]:
        """The ids of the two programs, which are handed over when first asked for."""
        if not self._ids:
            pairs = zip(self.PROGRAMS, self.tokens(), strict=True)
            self._ids = [backend.submit(program, token) for program, token in pairs]
        return self._ids

    def ended(self, backend: QueueingBackend) -> str:
        """The id of the first program, whose result is there."""
        self.fetched(backend, self.ids(backend)[0])
        return self._ids[0]

    def fetched(self, backend: QueueingBackend, provider_job_id: str) -> ProgramResult:
        """The result of a run, waited for."""
        until_s = time.monotonic() + self.timeout_s
        while (result := backend.fetch(provider_job_id)) is None:
            require(time.monotonic() < until_s, f"a result arrives within {self.timeout_s:g} s")
            time.sleep(self.pause_s)
        require(isinstance(result, ProgramResult), "fetch() returns a ProgramResult, or None while there is none")
        return result


@dataclass(frozen=True, slots=True)
class Contract:
    """One thing that a backend must do if it offers it.

    Attributes:
        name: In tables, "bit order".
        check: Raises `AssertionError` where a backend breaks it.
        offered: Whether a backend says that it has it; None where every backend must.
        sends: Whether the check runs programs.
    """

    name: str
    check: Callable[[Any, Trial], None]
    offered: Callable[[Any], bool] | None = None
    sends: bool = True

    @property
    def what(self) -> str:
        """The rule in a sentence."""
        return (self.check.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one contract.

    Attributes:
        contract: Its name.
        outcome: See `Outcome`.
        note: Why it failed.
    """

    contract: str
    outcome: Outcome
    note: str = ""


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """What `superpose.testing.conformance` found about a backend.

    Attributes:
        backend: Its name.
        version: Of superpose, whose suite it was.
        findings: One for each contract, in the suite's order.
    """

    backend: str
    version: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no contract is broken."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What is broken."""
        return tuple(one for one in self.findings if one.outcome == "failed")

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcome of each contract, by its name."""
        return {one.contract: one.outcome for one in self.findings}

    def require(self) -> ConformanceReport:
        """Return this report.

        Raises:
            AssertionError: Something is broken; the message says what.
        """
        if self.failed:
            told = "; ".join(f"{one.contract}: {one.note}" for one in self.failed)
            raise AssertionError(f"{self.backend} breaks {len(self.failed)} of {len(self.findings)} contracts: {told}")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return it in JSON values."""
        rows = [{"contract": one.contract, "outcome": one.outcome, "note": one.note} for one in self.findings]
        return {"backend": self.backend, "superpose": self.version, "passed": self.passed, "findings": rows}


def findings_of(contracts: Iterable[Contract], backend: Any, trial: Trial) -> list[Finding]:
    """Return what is found about each contract; whatever a backend raises is a finding too."""
    out = []
    for contract in contracts:
        outcome: Outcome = "passed"
        note = ""
        try:
            if contract.offered is not None and not contract.offered(backend):
                outcome = "not offered"
            else:
                contract.check(backend, trial)
        except AssertionError as error:
            outcome, note = "failed", str(error)
        except Exception as error:  # of somebody else's backend: it is what was to be found
            outcome, note = "failed", f"{type(error).__name__}: {error}"
        out.append(Finding(contract.name, outcome, note))
    return out


def require(holds: bool, what: str) -> None:
    """Raise `AssertionError` where a rule does not hold."""
    if not holds:
        raise AssertionError(f"The backend does not keep its contract: {what}.")
