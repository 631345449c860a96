"""IonQ's Quantum Cloud: processors and simulators through its REST API.

Source: IonQ Cloud Platform API v0.4, OpenAPI document "last updated: September 2, 2026" (https://api.ionq.co/v0.4/api-docs,
as vendored in github.com/ionq/ionq-core-python, openapi.json).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from superpose.backends.clouds.ionq_calibration import calibration_of
from superpose.backends.clouds.ionq_circuits import MAX_CIRCUITS, as_input, counts_of, gate_numbers
from superpose.backends.clouds.ionq_jobs import MAX_SHOTS, IonQJobs, problem
from superpose.backends.clouds.messenger import Messenger
from superpose.backends.clouds.readings import Reading
from superpose.backends.clouds.retry import Retry
from superpose.backends.clouds.states import call_off, status_of
from superpose.backends.clouds.waiting import Patience
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import (
    BackendInfo,
    BackendStatus,
    Calibration,
    Capabilities,
    Estimate,
    Program,
    ProgramResult,
    RunStatus,
)
from superpose.errors import BackendUnknownError, CalibrationError, ProviderError

__all__ = ["NOISE_MODELS", "IonQBackend", "IonQProcessor", "IonQProvider"]

URL: Final = "https://api.ionq.co/v0.4"
REGION: Final = "us"
"""Where IonQ runs its API; it does not say where else programs may go."""
KEY_VARIABLE: Final = "IONQ_API_KEY"
SIMULATOR: Final = "simulator"
SIMULATOR_QUBITS: Final = 29
"""Where the provider's list does not say it."""
NOISE_MODELS: Final = ("harmony-1", "harmony-2", "aria-1", "aria-2", "forte-1", "forte-enterprise-1")
"""Of the simulator: "ionq:simulator:forte-1"."""

_STATUS: Mapping[str, RunStatus] = MappingProxyType(
    {
        "submitted": RunStatus.QUEUED,
        "ready": RunStatus.QUEUED,
        "started": RunStatus.RUNNING,
        "completed": RunStatus.SUCCEEDED,
        "failed": RunStatus.FAILED,
        "canceled": RunStatus.CANCELLED,
    }
)
_PASSING = frozenset({"InternalError", "QuantumComputerError", "SystemCancel", "SimulationTimeout", "PreflightError"})
"""Reasons of failed runs that are not the program's."""
_AVAILABLE: Mapping[str, BackendStatus] = MappingProxyType({"available": "online", "unavailable": "offline"})


class IonQProvider:
    """IonQ's backends: "ionq:simulator", "ionq:simulator:NOISE_MODEL", "ionq:qpu.NAME".

    The key is read from the environment variable IONQ_API_KEY for each request.

    Args:
        url: Of the API, with its version; None for IonQ's own.
        timeout_s: How long one answer may take, in seconds.
        retry: How requests are tried again.
        patience: How `IonQBackend.run` waits.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        patience: Patience | None = None,
    ) -> None:
        messenger = Messenger(self.name, url or URL, _key_header, timeout_s)
        self._jobs = IonQJobs(messenger, retry or Retry(), lambda: self._key_missing())
        self._listing = IonQJobs(messenger, Retry(n_tries=1), lambda: self._key_missing())
        self._patience = patience or Patience()

    @property
    def name(self) -> str:
        """The name "ionq"."""
        return "ionq"

    def list(self) -> Sequence[BackendInfo]:
        """Return what IonQ offers now; one line with the reason where it does not answer, or where there is no key.

        Cost: one request, not tried again; none without a key, so that nobody who is no customer calls there.
        """
        missing = self._key_missing()
        if missing:
            return [self._line(SIMULATOR, {}, "unavailable", missing)]
        try:
            rows = self._rows(self._listing)
        except ProviderError as error:
            return [self._line(SIMULATOR, {}, "unavailable", str(error))]
        return [
            self._line(name, row, _AVAILABLE.get(str(row.get("status")), "offline"), "")
            for name, row in rows.items()
            if str(row.get("status")) != "retired"
        ]

    def backend(self, name: str) -> IonQBackend:
        """Return the backend "simulator", "simulator:NOISE_MODEL" or "qpu.NAME".

        Raises:
            BackendUnknownError: IonQ offers none of this name.
            ProviderError: IonQ does not answer.
        """
        rows = self._rows(self._jobs)
        if name not in rows:
            allowed = sorted(rows)
            raise BackendUnknownError(
                f"ionq has no backend {name!r}; it has {', '.join(allowed)}.", name=name, allowed=allowed
            )
        kind = IonQBackend if name.startswith(SIMULATOR) else IonQProcessor
        return kind(name, rows[name], self._jobs, self._patience)

    def _rows(self, jobs: IonQJobs) -> dict[str, Mapping[str, Any]]:
        """What the API says about each backend, the simulator's noise models as backends of their own."""
        document = jobs.ask("GET", "/backends")
        try:
            rows: dict[str, Mapping[str, Any]] = {str(row["backend"]): dict(row) for row in document}
        except (TypeError, KeyError):
            raise problem("The list of its backends cannot be read.", retryable=True) from None
        simulator = rows.setdefault(SIMULATOR, {"status": "available", "qubits": SIMULATOR_QUBITS})
        for model in NOISE_MODELS:
            modelled = rows.get(f"qpu.{model}", simulator)  # of a noisy run, the modelled processor's qubits count
            rows[f"{SIMULATOR}:{model}"] = {**simulator, "qubits": modelled.get("qubits")}
        return rows

    def _line(self, name: str, row: Mapping[str, Any], status: BackendStatus, note: str) -> BackendInfo:
        kind = "qpu" if not name.startswith(SIMULATOR) else "emulator" if ":" in name else "simulator"
        n_qubits = row.get("qubits")
        return BackendInfo(
            name=f"{self.name}:{name}",
            provider=self.name,
            n_qubits=None if n_qubits is None else int(n_qubits),
            kind=kind,  # type: ignore[arg-type]  # one of the three words two lines above
            status=status,
            note=note,
            region=REGION,
        )

    def _key_missing(self) -> str:
        return "" if os.environ.get(KEY_VARIABLE) else f"No key; set the environment variable {KEY_VARIABLE}"


class IonQBackend:
    """A processor or simulator of IonQ's; made by `IonQProvider`.

    All circuits of a program go as one job. Every gate is written in IonQ's "qis" gates, which IonQ compiles. The
    simulator without noise answers with probabilities, from which counts are drawn here, with the program's seed.

    IonQ's API knows no token of the caller's; ours goes into the job's metadata, and a job is looked for among the
    account's before it is handed over. Where the answer to a hand-over is lost and no such job is found either, the
    program is not handed over again: `ProviderError` says that trying again later, with the same token, is safe.
    """

    def __init__(self, name: str, row: Mapping[str, Any], jobs: IonQJobs, patience: Patience) -> None:
        self._own, self._row = name, row
        self._target, _, self._noise = name.partition(":")
        self._jobs, self._patience = jobs, patience

    @property
    def name(self) -> str:
        """The name, "ionq:qpu.forte-1"."""
        return f"ionq:{self._own}"

    @property
    def region(self) -> str:
        """The region "us": IonQ is a company of the United States and runs its API there."""
        return REGION

    @property
    def status_table(self) -> Mapping[str, RunStatus]:
        """IonQ's words and ours."""
        return _STATUS

    def capabilities(self) -> Capabilities:
        """Return what IonQ's list said when this backend was made. Prices are a contract's: see `estimate`."""
        n_qubits = self._row.get("qubits")
        return Capabilities(
            max_qubits=SIMULATOR_QUBITS if n_qubits is None else int(n_qubits),
            max_shots=MAX_SHOTS,
            max_batch=MAX_CIRCUITS,
            simulator=self._target == SIMULATOR,
        )

    def run(self, program: Program) -> ProgramResult:
        """Hand ``program`` over, wait, and return its result.

        Raises:
            UnsupportedProgramError: It cannot run here.
            ProviderError: See `Patience.run`.

        Cost: one request to look for the token, one to hand over, one per question, one for all results.
        """
        return self._patience.run(self, program)

    def submit(self, program: Program, token: str) -> str:
        """Hand ``program`` over as one job and return its id; the same token again gives the same id.

        Raises:
            UnsupportedProgramError: It cannot run here; nothing is sent.
            ProviderError: IonQ did not take it.

        Cost: one request to look for the token (more for accounts with many recent jobs), one to hand over.
        """
        require_fit(program, self.capabilities(), self.name)
        measured = MeasuredProgram(program)
        seed = self._seed(program, token)
        reading = Reading.of(program, seed)
        payload: dict[str, Any] = {
            "type": "ionq.multi-circuit.v1",
            "name": "superpose",
            "backend": self._target,
            "shots": measured.shots,
            "input": as_input(measured.circuits, self.name),
        }
        if self._noise and seed is not None:
            payload["noise"] = {"model": self._noise, "seed": seed & 0x7FFFFFFF}
        elif self._target != SIMULATOR:
            payload["settings"] = {"error_mitigation": {"debiasing": False}}  # which would need 500 shots or more
        return self._jobs.submit(payload, token, reading)

    def status(self, provider_job_id: str) -> RunStatus:
        """Return where the run is.

        Raises:
            ProviderError: IonQ could not be asked, knows no such job, or uses an unknown word.
        """
        return self._status(self._jobs.job(provider_job_id), provider_job_id)

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        """Return the result, or None while there is none yet.

        Raises:
            ProviderError: The run has failed or was called off; or its result could not be had, which is told by
                ``retryable``.
        """
        job = self._jobs.job(provider_job_id)
        status = self._status(job, provider_job_id)
        if not status.is_final:
            return None
        if status is not RunStatus.SUCCEEDED:
            failure = job.get("failure") or {}
            code = str(failure.get("code", status.value))
            raise problem(
                f"The run {provider_job_id} on {self.name} ended as {status.value} ({code}): "
                f"{failure.get('message', 'no reason given')}.",
                provider_job_id,
                retryable=code in _PASSING,
            )
        reading, children = self._jobs.reading(job, provider_job_id)
        distributions = self._jobs.probabilities(job, children)
        circuits = reading.measured.circuits
        if len(distributions) != len(circuits):
            raise problem(
                f"The run {provider_job_id} has results of {len(distributions)} circuits, asked were {len(circuits)}. "
                "Fetch it again.",
                provider_job_id,
                retryable=True,
            )
        drawn = self._target == SIMULATOR
        counts = [
            counts_of(one, circuit, reading.measured.shots, (reading.seed, place) if drawn else None, provider_job_id)
            for place, (one, circuit) in enumerate(zip(distributions, circuits, strict=True))
        ]
        return reading.measured.result(counts, self._provenance(job, reading, provider_job_id))

    def cancel(self, provider_job_id: str) -> None:
        """Ask that the run be called off; nothing happens where it has ended.

        Raises:
            ProviderError: IonQ could not be asked, or knows no such job.
        """
        call_off(self, provider_job_id, lambda: self._jobs.cancel(provider_job_id))

    def estimate(self, program: Program) -> Estimate:
        """Return what IonQ expects: price, wait and run time under the account's contract.

        The price is asked for once, for a circuit with the mean numbers of gates, and multiplied by the circuits. No
        fidelity: that is computed from `calibration`.

        Raises:
            UnsupportedProgramError: It cannot run here.
            ProviderError: IonQ could not be asked.
        """
        require_fit(program, self.capabilities(), self.name)
        measured = MeasuredProgram(program)
        n_circuits = len(measured.circuits)
        ones, twos = (sum(numbers) for numbers in zip(*map(gate_numbers, measured.circuits), strict=True))
        query = {
            "backend": self._target,
            "type": "ionq.circuit.v1",
            "qubits": str(program.circuit.n_qubits),
            "shots": str(measured.shots),
            "1q_gates": str(round(ones / n_circuits)),
            "2q_gates": str(round(twos / n_circuits)),
        }
        found = self._jobs.ask("GET", "/jobs/estimate", query=query)
        try:
            unit = str(found["estimated_unit"])
            return Estimate(
                price_usd=n_circuits * float(found["estimated_total_cost"]) if unit.lower() == "usd" else None,
                wait_s=float(found["current_predicted_queue_time"]) / 1000.0,
                run_s=n_circuits * float(found["estimated_execution_time"]) / 1000.0,
                notes={"n_circuits": n_circuits, "unit": unit, "rate_card": found["rate_card"]["id"], "asked": query},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise problem(f"The estimate for {self.name} cannot be read: {error!r}.", retryable=True) from None

    def _status(self, job: Mapping[str, Any], provider_job_id: str) -> RunStatus:
        return status_of(job.get("status"), _STATUS, "ionq", provider_job_id)

    def _seed(self, program: Program, token: str) -> int | None:
        """The program's; where a simulation has none, one that the token gives again."""
        if program.seed is not None or self._target != SIMULATOR:
            return program.seed
        return int.from_bytes(sha256(token.encode()).digest()[:4], "big") >> 1

    def _provenance(self, job: Mapping[str, Any], reading: Reading, provider_job_id: str) -> dict[str, Any]:
        told = ("submitted_at", "started_at", "completed_at", "execution_duration_ms")
        facts = {name: job[name] for name in told if job.get(name) is not None}
        try:
            begun, ended = (datetime.fromisoformat(str(facts[name])) for name in ("submitted_at", "completed_at"))
            elapsed_s = (ended - begun).total_seconds()
        except (KeyError, ValueError):
            elapsed_s = float(facts.get("execution_duration_ms", 0)) / 1000.0
        return reading.provenance(self.name, provider_job_id, elapsed_s, facts)


class IonQProcessor(IonQBackend):
    """A backend of IonQ's that is a processor, with its calibration."""

    def calibration(self) -> Calibration:
        """Return what IonQ's latest characterization says: medians, the same for all qubits and pairs.

        Gates are those of our table that are nearest to the native ones: "u" for GPI and GPI2, "rzz" for ZZ and MS.

        Raises:
            ProviderError: IonQ could not be asked, or has none.
        """
        found = self._jobs.ask("GET", f"/backends/{self._target}/characterizations", query={"limit": "1"})
        try:
            return calibration_of(self.name, found["characterizations"][0])
        except (KeyError, IndexError, TypeError, ValueError, CalibrationError) as error:
            raise problem(f"The characterization of {self.name} cannot be read: {error!r}.", retryable=True) from None


def _key_header() -> dict[str, str]:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    return {"Authorization": f"apiKey {key}"} if key else {}
