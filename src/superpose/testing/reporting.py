"""Every contract of a backend looked at, with what was found; and what that costs, told before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from superpose import __version__
from superpose.backends import LocalBackend
from superpose.backends.estimates import estimate_program, usage_of
from superpose.backends.fitting import require_fit
from superpose.circuits import (
    Backend,
    Capabilities,
    Executable,
    Program,
    ProgramExecutable,
    ProgramResult,
    ReportingBackend,
    RunStatus,
    Template,
)
from superpose.errors import ProviderError, UnsupportedProgramError
from superpose.testing.backends import BACKEND_CONTRACTS
from superpose.testing.contracts import ConformanceReport, Contract, Finding, Trial, findings_of
from superpose.testing.queueing import QUEUE_CONTRACTS

__all__ = ["CONTRACTS", "ConformanceCost", "conformance", "conformance_cost", "programs_of"]

CONTRACTS: tuple[Contract, ...] = (*BACKEND_CONTRACTS, *QUEUE_CONTRACTS)
"""All contracts of backends."""


def conformance(
    backend: Backend,
    *,
    tolerance: float = 0.0,
    timeout_s: float = 600.0,
    pause_s: float = 0.05,
    leave_out: Collection[str] = (),
    told: Callable[[str], None] | None = None,
) -> ConformanceReport:
    """Return what is found about each contract of a backend, whoever made it; nothing is raised.

    Args:
        backend: What to check; it is sent some forty small programs, which cost what `conformance_cost` says.
        tolerance: What expectations and probabilities may be off beyond sampling, for backends with noise.
        timeout_s: How long a result may take that is waited for.
        pause_s: Time between two questions for it.
        leave_out: Names of contracts that are not looked at.
        told: Is called with the name of each contract before it is looked at.

    >>> from superpose.backends import LocalBackend
    >>> report = conformance(LocalBackend())
    >>> report.passed, report.outcomes["bit order"], report.outcomes["tokens"]
    (True, 'passed', 'not offered')
    """
    trial = Trial(tolerance=tolerance, timeout_s=timeout_s, pause_s=pause_s)
    findings = []
    for contract in CONTRACTS:
        if contract.name in leave_out:
            findings.append(Finding(contract.name, "not looked at"))
            continue
        if told is not None:
            told(contract.name)
        findings += findings_of((contract,), backend, trial)
    return ConformanceReport(backend.name, __version__, tuple(findings))


@dataclass(frozen=True, slots=True)
class ConformanceCost:
    """What a look at all contracts takes.

    Attributes:
        n_programs: Programs that are sent.
        n_circuits: Their circuits: batch entries times measurement settings.
        n_shots: Shots of all circuits together.
        usd: The price, in US dollars; None where nobody says.
    """

    n_programs: int
    n_circuits: int
    n_shots: int
    usd: float | None


def conformance_cost(backend: Backend, leave_out: Collection[str] = ()) -> ConformanceCost:
    """Return what `conformance` would send, and its price by estimates and published prices. Nothing is sent.

    Raises:
        ProviderError: The backend's own estimate cannot be had.

    Cost: the programs are run on this machine instead; one estimate for each.
    """
    programs = programs_of(backend, leave_out)
    usages = [usage_of(program) for program in programs]
    able = backend.capabilities()
    prices: list[float | None] = []
    for program in programs:
        try:
            prices.append(estimate_program(program, backend, kind="simulator" if able.simulator else "qpu").price_usd)
        except UnsupportedProgramError:
            continue  # it will be refused, at no cost
    free_here = able.simulator and able.pricing is None
    known = [0.0 if price is None and free_here else price for price in prices]
    return ConformanceCost(
        n_programs=len(programs),
        n_circuits=sum(one.n_circuits for one in usages),
        n_shots=sum(one.n_shots for one in usages),
        usd=None if None in known else sum(price for price in known if price is not None),
    )


def programs_of(backend: Backend, leave_out: Collection[str] = ()) -> tuple[Program, ...]:
    """Return the programs that `conformance` would send to ``backend``, found by a rehearsal on this machine."""
    stand_in = _Rehearsal(backend)
    trial = Trial(pause_s=0.0)
    asked = [one for one in CONTRACTS if one.sends and one.name not in leave_out]
    offered = [one for one in asked if one.offered is None or one.offered(backend)]
    findings_of([replace(one, offered=None) for one in offered], stand_in, trial)
    return tuple(stand_in.sent)


class _Rehearsal:
    """Takes a backend's place: says of itself what that one says, computes here, and keeps what it was sent."""

    def __init__(self, backend: Backend) -> None:
        self._name, self._able, self._here = backend.name, backend.capabilities(), LocalBackend()
        words = backend.status_table if isinstance(backend, ReportingBackend) else {}
        self.status_table: Mapping[str, RunStatus] = words
        self.sent: list[Program] = []
        self._results: dict[str, ProgramResult] = {}

    @property
    def name(self) -> str:
        return self._name

    def capabilities(self) -> Capabilities:
        return self._able

    def compile(self, template: Template) -> Executable:
        return ProgramExecutable(template, self)

    def run(self, program: Program) -> ProgramResult:
        require_fit(program, self._able, self._name)
        self.sent.append(program)
        found = self._here.run(program)
        return replace(found, provenance={**found.provenance, "backend": self._name})

    def submit(self, program: Program, token: str) -> str:
        if token not in self._results:
            self._results[token] = self.run(program)
        return token

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        return self._known(provider_job_id)

    def cancel(self, provider_job_id: str) -> None:
        self._known(provider_job_id)

    def status(self, provider_job_id: str) -> RunStatus:
        self._known(provider_job_id)
        return RunStatus.SUCCEEDED

    def _known(self, provider_job_id: str) -> ProgramResult:
        if provider_job_id not in self._results:
            raise ProviderError("No run.", provider=self._name, provider_job_id=provider_job_id, retryable=False)
        return self._results[provider_job_id]
