"""Azure Quantum: the processors, emulators and simulators of a workspace, through its REST API.

Sources: see `superpose.backends.clouds.azure_workspace` and `superpose.backends.clouds.azure_forms`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from superpose.backends.clouds.azure_forms import Form, Piece, form_of
from superpose.backends.clouds.azure_workspace import AzureStore, AzureWorkspace, problem
from superpose.backends.clouds.readings import Reading
from superpose.backends.clouds.retry import Retry
from superpose.backends.clouds.states import call_off, status_of
from superpose.backends.clouds.waiting import Patience
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import (
    BackendInfo,
    BackendKind,
    BackendStatus,
    Capabilities,
    Estimate,
    Program,
    ProgramResult,
    RunStatus,
)
from superpose.errors import BackendUnknownError, ProviderError, UnsupportedProgramError

__all__ = ["AzureBackend", "AzureProvider"]

MAX_JOBS: Final = 500
"""Of one program, each a few requests."""
MAX_SHOTS: Final = 10_000
_OURS: Final = UUID("5b0c1d52-6f0e-5d0a-9a57-6a0b5a0f4c11")
"""Under which ids of jobs are derived from tokens (RFC 9562, version 5)."""
_READING: Final = "superpose"
"""The blob that says how a program's results are read."""
_STATUS: Mapping[str, RunStatus] = MappingProxyType(
    {
        "Queued": RunStatus.QUEUED,
        "Waiting": RunStatus.QUEUED,
        "Executing": RunStatus.RUNNING,
        "Finishing": RunStatus.RUNNING,
        "CancellationRequested": RunStatus.CANCELLING,
        "Cancelling": RunStatus.CANCELLING,
        "Completed": RunStatus.SUCCEEDED,
        "Succeeded": RunStatus.SUCCEEDED,
        "Failed": RunStatus.FAILED,
        "Cancelled": RunStatus.CANCELLED,
    }
)
_AVAILABLE: Mapping[str, BackendStatus] = MappingProxyType(
    {"Available": "online", "Degraded": "online", "Unavailable": "offline"}
)
_QUBITS: Mapping[str, int] = MappingProxyType(
    {"ionq.simulator": 29, "ionq.qpu.aria-1": 25, "ionq.qpu.forte-1": 35, "ionq.qpu.forte-enterprise-1": 35,
     "rigetti.sim.qvm": 20, "rigetti.qpu.cepheus-1-108q": 108}
)  # fmt: skip
"""Where the workspace does not tell: what azure-quantum 3.13.0 states."""


@dataclass(frozen=True)
class _Target:
    """A line of the workspace's list."""

    id: str
    provider_id: str
    row: Mapping[str, Any]
    form: Form

    @property
    def kind(self) -> BackendKind:
        if ".qpu." in self.id:
            return "qpu"
        return "emulator" if self.provider_id.lower() == "quantinuum" else "simulator"

    @property
    def n_qubits(self) -> int | None:
        told = self.row.get("numQubits")
        return _QUBITS.get(self.id) if told is None else int(told)


class AzureProvider:
    """The targets of a workspace of Azure Quantum: "azure:ionq.simulator", "azure:quantinuum.sim.h2-1e", ...

    Args:
        workspace: None for that of the connection string in AZURE_QUANTUM_CONNECTION_STRING, whose key is read for each
            request.
        token: Returns a bearer token for "https://quantum.microsoft.com/.default", asked before each request; None for
            the connection string's key.
        timeout_s: How long one answer may take, in seconds.
        retry: How requests are tried again.
        patience: How `AzureBackend.run` waits.
    """

    def __init__(
        self,
        workspace: AzureWorkspace | None = None,
        *,
        token: Callable[[], str] | None = None,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._workspace, self._token, self._timeout_s = workspace, token, timeout_s
        self._retry, self._patience = retry or Retry(), patience or Patience()

    @property
    def name(self) -> str:
        """The name "azure"."""
        return "azure"

    def list(self) -> Sequence[BackendInfo]:
        """Return the workspace's targets that take circuits; one line with the reason where there is no answer.

        Cost: one request, not tried again; none without a connection string.
        """
        try:
            workspace = self._workspace or AzureWorkspace.connected()
            targets = self._targets(self._store(workspace, Retry(n_tries=1)))
        except ProviderError as error:
            return [
                BackendInfo(
                    name="azure", provider=self.name, n_qubits=None, kind="qpu", status="unavailable", note=str(error)
                )
            ]
        return [self._line(target, workspace.region) for target in targets.values()]

    def backend(self, name: str) -> AzureBackend:
        """Return the target of this name as a backend.

        Raises:
            BackendUnknownError: The workspace has none of this name that takes circuits.
            ProviderError: There is no workspace, or it does not answer.
        """
        store = self._store(self._workspace or AzureWorkspace.connected(), self._retry)
        targets = self._targets(store)
        if name not in targets:
            allowed = sorted(targets)
            raise BackendUnknownError(
                f"The Azure workspace has no target {name!r} for circuits; it has {', '.join(allowed) or 'none'}. "
                "Others come with providers that are added to it.",
                name=name,
                allowed=allowed,
            )
        return AzureBackend(targets[name], store, self._patience)

    def quotas(self) -> Sequence[Mapping[str, Any]]:
        """Return the workspace's quotas as Azure tells them: dimension, provider, utilization, holds, limit, period.

        Raises:
            ProviderError: There is no workspace, or it does not answer.
        """
        return self._store(self._workspace or AzureWorkspace.connected(), self._retry).rows("/quotas")

    def _store(self, workspace: AzureWorkspace, retry: Retry) -> AzureStore:
        return AzureStore(workspace, retry, self._timeout_s, self._token)

    def _targets(self, store: AzureStore) -> dict[str, _Target]:
        """Targets that take circuits, and run them: names that end in "sc" check their syntax only."""
        return {
            target.id: target
            for target in _listed(store)
            if not (target.kind == "emulator" and target.id.endswith("sc"))
        }

    def _line(self, target: _Target, region: str | None) -> BackendInfo:
        return BackendInfo(
            name=f"{self.name}:{target.id}",
            provider=self.name,
            n_qubits=target.n_qubits,
            kind=target.kind,
            status=_AVAILABLE.get(str(target.row.get("currentAvailability")), "offline"),
            region=region,
        )


class AzureBackend:
    """A target of an Azure Quantum workspace; made by `AzureProvider`.

    A job of Azure's runs one circuit, on Rigetti's targets one circuit with many values: a program is a set of jobs.
    Their ids are derived from the token, so handing over again runs none twice; the first one is handed over last, and
    its id is the program's. How the results are read stands in that job's container.
    """

    def __init__(self, target: _Target, store: AzureStore, patience: Patience) -> None:
        self._target, self._store, self._patience = target, store, patience
        self._form = target.form
        self._drawn = target.form.drawn and target.kind == "simulator"

    @property
    def name(self) -> str:
        """The name, "azure:ionq.qpu.forte-1"."""
        return f"azure:{self._target.id}"

    @property
    def region(self) -> str | None:
        """The region of the workspace; None where its endpoint does not tell it."""
        return self._store.region

    @property
    def status_table(self) -> Mapping[str, RunStatus]:
        """Azure's words and ours."""
        return _STATUS

    def capabilities(self) -> Capabilities:
        """Return what the workspace's list said when this backend was made.

        Only a simulator whose counts are drawn here, by the program's seed, counts as one; what emulators and Rigetti's
        QVM give cannot be repeated.
        """
        return Capabilities(
            max_qubits=self._target.n_qubits,
            max_shots=MAX_SHOTS,
            max_batch=MAX_JOBS,
            simulator=self._drawn,
            parametric=self._form.input_format.startswith("rigetti"),
        )

    def run(self, program: Program) -> ProgramResult:
        """Hand ``program`` over, wait, and return its result.

        Raises:
            UnsupportedProgramError: It cannot run here.
            ProviderError: See `Patience.run`.
        """
        return self._patience.run(self, program)

    def submit(self, program: Program, token: str) -> str:
        """Hand ``program`` over as a set of jobs and return the first one's id; the same token gives the same id.

        Raises:
            UnsupportedProgramError: It cannot run here, or takes too many jobs; nothing is sent.
            ProviderError: Azure did not take it. Handing over again under this token goes on where this ended.

        Cost: a request for the jobs of this token, three for each job, one for what is needed to read the result.
        """
        require_fit(program, self.capabilities(), self.name)
        measured = MeasuredProgram(program)
        pieces = self._form.pieces(measured)
        if len(pieces) > MAX_JOBS:
            raise UnsupportedProgramError(
                f"Backend {self.name!r} takes programs of {MAX_JOBS} jobs; this one has {len(pieces)} (one for each "
                "batch entry and measurement setting). Run it as a program set in pieces, or with a smaller batch.",
                backend=self.name,
                n_jobs=len(pieces),
            )
        first = uuid5(_OURS, token)
        present = {str(job.get("id")) for job in self._listed_jobs(str(first))}
        seed = program.seed
        if seed is None and self._drawn:  # one that the token gives again
            seed = int.from_bytes(sha256(token.encode()).digest()[:4], "big") & 0x7FFFFFFF
        reading = Reading.of(program, seed)
        for number in reversed(range(len(pieces))):
            job_id = _job_id(first, number)
            if job_id not in present:
                container = self._store.container(job_id)
                if number == 0:
                    about = {"reading": reading.packed(), "places": [list(piece.places) for piece in pieces]}
                    self._store.upload(container, _READING, json.dumps(about).encode(), "application/json", job_id)
                metadata = {"superpose": str(first)} | ({"superpose_jobs": str(len(pieces))} if number == 0 else {})
                self._hand_over(job_id, container, pieces[number], measured.shots, metadata)
        return str(first)

    def _hand_over(self, job_id: str, container: str, piece: Piece, shots: int, metadata: Mapping[str, str]) -> None:
        url = self._store.upload(container, "inputData", piece.content, self._form.content_type, job_id)
        details = {
            "name": f"superpose-{metadata['superpose']}",
            "providerId": self._target.provider_id,
            "target": self._target.id,
            "itemType": "Job",
            "jobType": "QuantumComputing",
            "containerUri": container,
            "inputDataUri": url,
            "inputDataFormat": self._form.input_format,
            "outputDataFormat": self._form.output_format,
            "inputParams": {"shots": shots, **piece.params},
            "metadata": dict(metadata),
        }
        self._store.put(job_id, details)

    def status(self, provider_job_id: str) -> RunStatus:
        """Return where the run is: failed or called off as soon as one of its jobs is.

        Raises:
            ProviderError: Azure could not be asked, knows no such job, has lost some, or uses an unknown word.
        """
        return self._status(self._jobs(provider_job_id), provider_job_id)

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        """Return the result, or None while there is none yet.

        Raises:
            ProviderError: The run has failed or was called off; or its result could not be had, which is told by
                ``retryable``.

        Cost: one or two requests for the jobs, two for what is needed to read them, two for each result.
        """
        jobs = self._jobs(provider_job_id)
        status = self._status(jobs, provider_job_id)
        if not status.is_final:
            return None
        if status is not RunStatus.SUCCEEDED:
            raise self._failed(jobs, status, provider_job_id)
        reading, places = self._reading(provider_job_id)
        counts: dict[int, dict[str, int]] = {}
        for job, own in zip(jobs, places, strict=True):
            counts |= dict(zip(own, self._counts(job, own, reading), strict=True))
        ordered = [counts[place] for place in sorted(counts)]
        return reading.measured.result(ordered, self._provenance(jobs, reading, provider_job_id))

    def cancel(self, provider_job_id: str) -> None:
        """Ask that all jobs of the run be called off that have not ended.

        Raises:
            ProviderError: Azure could not be asked, or knows no such job.
        """

        def ask() -> None:
            for job in self._jobs(provider_job_id):
                if not status_of(job.get("status"), _STATUS, "azure", provider_job_id).is_final:
                    self._store.ask("POST", f"/jobs/{job['id']}:cancel", provider_job_id)

        call_off(self, provider_job_id, ask)

    def estimate(self, program: Program) -> Estimate:
        """Return the average wait at the target, and what the workspace's quotas leave for its provider, in the notes.

        Prices are no part of Azure's API before a run; `superpose.backends.estimates` has those that are published.

        Raises:
            UnsupportedProgramError: It cannot run here.
            ProviderError: Azure could not be asked.

        Cost: two requests.
        """
        require_fit(program, self.capabilities(), self.name)
        rows = {target.id: target.row for target in _listed(self._store)}
        told = rows.get(self._target.id, {}).get("averageQueueTime")
        quotas = [
            dict(row)
            for row in self._store.rows("/quotas")
            if str(row.get("providerId", "")).lower() == self._target.provider_id.lower()
        ]
        n_jobs = len(self._form.pieces(MeasuredProgram(program)))
        return Estimate(wait_s=None if told is None else float(told), notes={"n_jobs": n_jobs, "quotas": quotas})

    def _listed_jobs(self, first: str) -> list[Mapping[str, Any]]:
        """The jobs of a program that Azure lists, in no order."""
        name = f"superpose-{first}"
        found = self._store.rows("/jobs", {"filter": f"startswith(Name, '{name}')"})
        return [job for job in found if job.get("name") == name]

    def _jobs(self, provider_job_id: str) -> list[Mapping[str, Any]]:
        """The jobs of a run in order."""
        try:
            first = UUID(provider_job_id)
        except ValueError:
            raise problem(f"There is no run {provider_job_id!r} at Azure.", provider_job_id, retryable=False) from None
        one = self._store.ask("GET", f"/jobs/{first}", provider_job_id)
        try:
            n_jobs = int(one["metadata"]["superpose_jobs"])
        except (KeyError, TypeError, ValueError):
            raise problem(
                f"The run {provider_job_id} was not handed over by superpose, or its metadata were changed. Fetch its "
                "results with Azure's own tools.",
                provider_job_id,
                retryable=False,
            ) from None
        if n_jobs == 1:
            return [one]
        found = {str(job.get("id")): job for job in self._listed_jobs(str(first))} | {str(first): one}
        ids = [_job_id(first, number) for number in range(n_jobs)]
        lost = sum(job_id not in found for job_id in ids)
        if lost:
            raise problem(
                f"Azure lists {n_jobs - lost} of the {n_jobs} jobs of run {provider_job_id}; ask again, or hand the "
                "program over again under its token, which adds what is missing.",
                provider_job_id,
                retryable=True,
            )
        return [found[job_id] for job_id in ids]

    def _status(self, jobs: Sequence[Mapping[str, Any]], provider_job_id: str) -> RunStatus:
        found = {status_of(job.get("status"), _STATUS, "azure", provider_job_id) for job in jobs}
        for one in (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.CANCELLING):
            if one in found:
                return one
        return found.pop() if len(found) == 1 else RunStatus.RUNNING

    def _failed(self, jobs: Sequence[Mapping[str, Any]], status: RunStatus, provider_job_id: str) -> ProviderError:
        told = [job["errorData"] for job in jobs if isinstance(job.get("errorData"), Mapping)]
        code, why = (str(told[0].get("code")), told[0].get("message")) if told else (status.value, "no reason given")
        return problem(
            f"The run {provider_job_id} on {self.name} ended as {status.value} ({code}): {why}.",
            provider_job_id,
            retryable=code in ("InternalError", "InternalServerError"),
        )

    def _reading(self, provider_job_id: str) -> tuple[Reading, list[list[int]]]:
        document = self._store.document(self._store.container(provider_job_id), _READING, provider_job_id)
        try:
            return Reading.unpacked(document["reading"]), [[int(place) for place in own] for own in document["places"]]
        except (KeyError, TypeError, ValueError) as error:
            raise problem(
                f"How the run {provider_job_id} is read cannot be read itself ({error!r}); fetch it again.",
                provider_job_id,
                retryable=True,
            ) from None

    def _counts(self, job: Mapping[str, Any], places: Sequence[int], reading: Reading) -> list[dict[str, int]]:
        """Counts of a job's circuits."""
        job_id = str(job["id"])
        parts = urlsplit(str(job.get("outputDataUri") or "")).path.strip("/").split("/")
        name = "/".join(parts[parts.index(f"job-{job_id}") + 1 :]) if f"job-{job_id}" in parts else ""
        if not name:
            raise problem(f"The job {job_id} names no result of its own yet; fetch it again.", job_id, retryable=True)
        document = self._store.document(self._store.container(job_id), name, job_id)
        try:
            return self._form.tally(document, places, reading, self._drawn, job_id)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise problem(
                f"The result of the job {job_id} cannot be read ({error!r}). Fetch it again.", job_id, retryable=True
            ) from None

    def _provenance(self, jobs: Sequence[Mapping[str, Any]], reading: Reading, provider_job_id: str) -> dict[str, Any]:
        costs = [job["costEstimate"] for job in jobs if isinstance(job.get("costEstimate"), Mapping)]
        currencies = sorted({str(cost.get("currencyCode")) for cost in costs})
        billed = {
            currency: sum(
                float(cost.get("estimatedTotal") or 0.0) for cost in costs if cost["currencyCode"] == currency
            )
            for currency in currencies
        }
        try:
            ends = [
                datetime.fromisoformat(str(job[name]).replace("Z", "+00:00"))
                for job in jobs
                for name in ("creationTime", "endExecutionTime")
            ]
            elapsed_s = (max(ends) - min(ends)).total_seconds()
        except (KeyError, ValueError):
            elapsed_s = 0.0
        facts = {"target": self._target.id, "n_jobs": len(jobs), "cost_estimate": billed}
        return reading.provenance(self.name, provider_job_id, elapsed_s, facts)


def _listed(store: AzureStore) -> list[_Target]:
    try:
        return [
            _Target(str(row["id"]), str(provider["id"]), row, form)
            for provider in store.rows("/providerStatus")
            for row in provider["targets"]
            if (form := form_of(str(provider["id"]), row.get("targetProfile"))) is not None
        ]
    except (KeyError, TypeError, AttributeError):
        raise problem("The workspace's list of targets cannot be read.", retryable=True) from None


def _job_id(first: UUID, number: int) -> str:
    return str(first if number == 0 else uuid5(first, str(number)))
