"""A processor of IBM's, or its local mode, through SamplerV2, or EstimatorV2 where that is asked for."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from superpose.backends.clouds.answers import Run, seeded
from superpose.backends.clouds.ibm_calibration import NATIVE_NAMES, calibration_of
from superpose.backends.clouds.ibm_estimates import are_estimates, estimator_pubs, estimator_takes, expectations_of
from superpose.backends.clouds.ibm_pubs import Compiler, counts_of, program_of, pubs_of
from superpose.backends.clouds.ibm_service import PROVIDER, asked, runtime
from superpose.backends.clouds.retry import Retry
from superpose.backends.clouds.states import status_of
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import (
    Calibration,
    Capabilities,
    Circuit,
    Pricing,
    Program,
    ProgramResult,
    QueueState,
    RunStatus,
)
from superpose.errors import ProviderError, UnsupportedProgramError

__all__ = ["IbmBackend", "IbmOptions", "Mode", "Primitive"]

Mode = Literal["job", "session", "batch"]
"""Each submission on its own; in one session, which keeps the processor; in one batch."""

Primitive = Literal["sampler", "estimator"]

STATUS_TABLE: Mapping[str, RunStatus] = MappingProxyType(
    {
        "INITIALIZING": RunStatus.QUEUED,
        "QUEUED": RunStatus.QUEUED,
        "RUNNING": RunStatus.RUNNING,
        "DONE": RunStatus.SUCCEEDED,
        "ERROR": RunStatus.FAILED,
        "CANCELLED": RunStatus.CANCELLED,
    }
)
MAX_SHOTS = 100_000
ESTIMATOR = "estimator:"
"""Before a processor's name: IBM's estimator on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IbmOptions:
    """How programs go to a processor.

    Attributes:
        mode: See `Mode`. A training loop takes "session".
        max_session_s: How long a session or batch may last, in seconds; None leaves it to IBM.
        session_id: One that is open already, so that a loop goes on in it after a crash.
        optimization_level: Of Qiskit's compiler, 0 to 3.
        timeout_s: How long one answer may take, in seconds.
        primitive: What runs programs that ask for expectations: "sampler", whose counts we estimate from as on every
            backend, or "estimator", with which IBM estimates, mitigating as ``resilience_level`` says. Counts, and
            circuits that measure or reset before their end, go to the sampler always.
        resilience_level: Of the estimator: 0 for no mitigation, 1 for readout, 2 for zero-noise extrapolation and gate
            twirling too; None leaves it to IBM, which takes 1. The estimator then takes more shots than ``shots``.
        retry: How calls are tried again.
    """

    mode: Mode = "job"
    max_session_s: int | None = None
    session_id: str | None = None
    optimization_level: int = 1
    timeout_s: float = 120.0
    primitive: Primitive = "sampler"
    resilience_level: int | None = None
    retry: Retry = field(default_factory=Retry)

    def __post_init__(self) -> None:
        if self.primitive not in ("sampler", "estimator"):
            raise UnsupportedProgramError(f"primitive is 'sampler' or 'estimator', got {self.primitive!r}.")
        if self.resilience_level is not None and (
            self.primitive != "estimator" or self.resilience_level not in (0, 1, 2)
        ):
            raise UnsupportedProgramError(
                f"resilience_level is 0, 1 or 2 and the estimator's; got {self.resilience_level!r} with primitive "
                f"{self.primitive!r}."
            )


def region_of(crn: object) -> str | None:
    """Region in an instance's name, crn:v1:bluemix:public:quantum-computing:us-east:...; None where there is none."""
    parts = str(crn or "").split(":")
    return parts[5] or None if len(parts) > 5 else None


class IbmBackend:
    """Runs programs through SamplerV2, all circuits of a program as PUBs of one job.

    Observables are estimated from counts as on every backend, without IBM's own mitigation, unless ``options`` ask for
    EstimatorV2: then all of them go as one PUB, and IBM's standard errors stand in the provenance. A run carries its
    program, so that another process can fetch it by its id alone; in local mode runs end with this object.

    Args:
        native: Qiskit's backend.
        service: Of the account; None in local mode.
        options: How programs go there.
        pricing: What it costs; None where nothing is known.
    """

    status_table = STATUS_TABLE

    def __init__(
        self, native: Any, service: Any, options: IbmOptions | None = None, pricing: Pricing | None = None
    ) -> None:
        self._native, self._service, self._pricing = native, service, pricing
        self._options = IbmOptions() if options is None else options
        self._retry = self._options.retry
        self._compiler = Compiler(native, self._options.optimization_level)
        self._known_session = self._options.session_id
        self._session: Any = None
        self._jobs: dict[str, tuple[Any, Program]] = {}  # local mode's: by id
        self._ids: dict[str, str] = {}  # and ids by token
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        """The name with the provider's: "ibm:ibm_fez", "ibm:estimator:ibm_fez"."""
        return f"{PROVIDER}:{ESTIMATOR if self._options.primitive == 'estimator' else ''}{self._native.name}"

    @property
    def region(self) -> str | None:
        """IBM Cloud's region of the instance, "eu-de"; "here" in local mode; None where the instance is not known."""
        return "here" if self._service is None else region_of(getattr(self._native, "_instance", None))

    @property
    def session_id(self) -> str | None:
        """IBM's id of the session or batch that is open, if one is."""
        return self._known_session if self._session is None else self._session.session_id

    @property
    def n_compiled(self) -> int:
        """How many templates were compiled for the processor."""
        return self._compiler.n_compiled

    def capabilities(self) -> Capabilities:
        """Return what the processor can do.

        Raises:
            ProviderError: The service does not answer, when it is asked for the first time.
        """
        target = self._retry.call(lambda: asked(lambda: self._native.target))
        operations = set(target.operation_names)
        pairs = target.build_coupling_map()
        config = asked(self._native.configuration) if self._service is not None else None
        return Capabilities(
            max_qubits=target.num_qubits,
            max_shots=getattr(config, "max_shots", None) or MAX_SHOTS,
            simulator=self._service is None,
            mid_circuit=True,
            reset="reset" in operations,
            feed_forward="if_else" in operations,
            parametric=True,
            native_gates=frozenset(NATIVE_NAMES[name] for name in operations if name in NATIVE_NAMES),
            connectivity=None if pairs is None else frozenset((int(a), int(b)) for a, b in pairs.get_edges()),
            pricing=self._pricing,
        )

    def calibration(self) -> Calibration:
        """Return the latest snapshot.

        Raises:
            ProviderError: It cannot be had.
        """
        refresh = self._service is not None
        found = self._retry.call(lambda: asked(lambda: self._native.properties(refresh=refresh)))
        return calibration_of(self.name, found)

    def queue(self) -> QueueState:
        """Return how many jobs wait before the processor; none in local mode.

        Raises:
            ProviderError: The service does not answer.
        """
        n_ahead = 0
        if self._service is not None:
            n_ahead = int(self._retry.call(lambda: asked(self._native.status)).pending_jobs)
        return QueueState(n_ahead=n_ahead, at=datetime.now(UTC))

    def transpiled(self, circuit: Circuit) -> Circuit:
        """Return the circuit as it is compiled for the processor.

        Raises:
            UnsupportedProgramError: It does not fit.
        """
        require_fit(Program(circuit, dict.fromkeys(circuit.parameters, 0.0), shots=1), self.capabilities(), self.name)
        from superpose.frontends.qiskit import read

        native = self._compiler.native(circuit).copy()
        native.global_phase = 0.0  # which no processor sees, and which would stand there as gates
        return read(native)

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` and wait for its result; see `Program`.

        Raises:
            UnsupportedProgramError: It does not fit.
            ProviderError: The run has failed, or the service does not answer.
        """
        token = secrets.token_hex(16)
        provider_job_id = self.submit(program, token)
        pause_s = 0.02 if self._service is None else 1.0
        while (found := self.fetch(provider_job_id)) is None:
            self._retry.sleep(pause_s)
            pause_s = min(30.0, 1.3 * pause_s)
        self._jobs.pop(provider_job_id, None)  # local mode's; nobody else knows its id
        self._ids.pop(token, None)
        return found

    def submit(self, program: Program, token: str) -> str:
        """Hand ``program`` over as one job and return IBM's id of it.

        The token is a tag of the job; each try asks first for a job with this tag.

        Raises:
            UnsupportedProgramError: It does not fit, or has nothing to be measured.
            ProviderError: The service refused it, or does not answer.

        Cost: a template that is new here is compiled; four requests.
        """
        require_fit(program, self.capabilities(), self.name)
        program = seeded(program) if self._service is None else program
        measured = MeasuredProgram(program)
        if not measured.templates:
            raise UnsupportedProgramError("All observables are constants: there is nothing to measure on a processor.")
        tag = _tag(token)
        work = self._work(measured)
        if self._service is None:
            return self._submit_locally(work, program, token)
        return self._retry.once(
            lambda: asked(lambda: self._find(tag)),
            lambda: self._hand_over(work, {"environment": {"job_tags": [tag]}}),
        )

    def _work(self, measured: MeasuredProgram) -> _Work:
        """What a program is for IBM's primitives."""
        program, level = measured.program, self._options.resilience_level
        if self._options.primitive == "sampler" or not estimator_takes(program):
            return _Work("SamplerV2", tuple(pubs_of(measured, self._compiler)), {}, {"shots": program.shots})
        options: dict[str, Any] = {"default_shots": program.shots}
        if level is not None and self._service is not None:
            options["resilience_level"] = level
        elif level:
            raise UnsupportedProgramError(
                f"IBM's local mode mitigates nothing; resilience_level={level} needs a processor. Leave it out."
            )
        return _Work("EstimatorV2", tuple(estimator_pubs(program, self._compiler)), options, {})

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        """Return the result, or None while there is none yet.

        Raises:
            ProviderError: The run has failed or was called off; IBM knows no such run; the service does not answer, or
                its answer is broken or not ours to read.
        """
        run = Run(self.name)
        job = self._job(provider_job_id)
        match self._state(job, provider_job_id):
            case RunStatus.SUCCEEDED:
                pass
            case RunStatus.FAILED | RunStatus.CANCELLED as ended:
                why = asked(job.error_message) if self._service is not None else None
                said = f"IBM's job {provider_job_id} has {ended}" if ended is RunStatus.FAILED else "It was called off"
                raise self._error(f"{said}{f': {why}' if why else '.'}", provider_job_id)
            case _:
                return None
        from qiskit.primitives import PrimitiveResult

        results = self._retry.call(lambda: asked(job.result, provider_job_id))
        if not isinstance(results, PrimitiveResult):  # the package gives text that it cannot read as it is
            raise self._error("IBM's result cannot be read; ask for it again.", provider_job_id, retryable=True)
        return self._read(results, job, provider_job_id, run)

    def cancel(self, provider_job_id: str) -> None:
        """Ask that the run be called off; nothing happens where it has ended.

        Raises:
            ProviderError: The service does not answer, or knows no such run.
        """
        job = self._job(provider_job_id)

        def call_off() -> None:
            try:
                job.cancel()
            except runtime().RuntimeInvalidStateError:
                return  # it has ended

        self._retry.call(lambda: asked(call_off, provider_job_id))

    def status(self, provider_job_id: str) -> RunStatus:
        """Return where the run is.

        Raises:
            ProviderError: The service does not answer, knows no such run, or uses an unknown word (which may be another
                one next time: ``retryable``).
        """
        return self._state(self._job(provider_job_id), provider_job_id)

    def in_session(self, session_id: str | None = None) -> IbmBackend:
        """Return this backend with all its programs in one session (or batch, where the options say so), opened now or
        given.

        Raises:
            ProviderError: The service does not answer, or the account's plan has no sessions.
        """
        mode: Mode = "session" if self._options.mode == "job" else self._options.mode
        options = replace(self._options, mode=mode, session_id=session_id)
        found = IbmBackend(self._native, self._service, options, self._pricing)
        found._compiler = self._compiler
        if session_id is None:
            self._retry.call(lambda: asked(found._where))
        return found

    def close(self) -> None:
        """Close the session or batch, if one is open: what was submitted runs to its end.

        Raises:
            ProviderError: The service does not answer.
        """
        if self._session is None and self._known_session is None:
            return
        session = self._retry.call(lambda: asked(self._where))
        self._retry.call(lambda: asked(session.close))
        with self._lock:
            self._session = self._known_session = None

    def _find(self, tag: str) -> str | None:
        instance = getattr(self._native, "_instance", None)
        found = self._service.jobs(limit=1, job_tags=[tag], instance=instance, descending=False)
        return str(found[0].job_id()) if found else None

    def _hand_over(self, work: _Work, options: dict[str, Any]) -> str:
        def send() -> str:
            return str(work.begun(self._where(), options).job_id())

        try:
            return asked(send)
        except ProviderError as error:
            if error.retryable or not self._lost_session():
                raise
            return asked(send)  # refused because its session had ended; now in a new one

    def _where(self) -> Any:
        """The processor, or the session or batch on it, opened when first used."""
        if self._options.mode == "job":
            return self._native
        with self._lock:
            if self._session is None:
                kind = runtime().Session if self._options.mode == "session" else runtime().Batch
                if self._known_session is not None and self._service is not None:
                    self._session = kind.from_id(self._known_session, self._service)
                else:
                    self._session = kind(backend=self._native, max_time=self._options.max_session_s)
                self._known_session = None
            return self._session

    def _lost_session(self) -> bool:
        """Whether there was a session that has ended; it is forgotten then."""
        with self._lock:
            session = self._session
            if session is None or asked(session.status) not in ("Closed", "In progress, not accepting new jobs"):
                return False
            self._session = None
            return True

    def _submit_locally(self, work: _Work, program: Program, token: str) -> str:
        with self._lock:
            if token not in self._ids:
                seed = (program.seed or 0) % (2**31 - 2) + 1  # 0 means none to the package
                job = asked(lambda: work.begun(self._where(), {"simulator": {"seed_simulator": seed}}))
                self._ids[token] = job.job_id()
                self._jobs[job.job_id()] = (job, program)
            return self._ids[token]

    def _job(self, provider_job_id: str) -> Any:
        if self._service is not None:
            return self._retry.call(lambda: asked(lambda: self._service.job(provider_job_id), provider_job_id))
        if provider_job_id not in self._jobs:
            raise self._error(f"This backend in local mode has no run {provider_job_id!r}.", provider_job_id)
        return self._jobs[provider_job_id][0]

    def _state(self, job: Any, provider_job_id: str) -> RunStatus:
        def ask() -> Any:
            try:
                return asked(job.status, provider_job_id)
            except ProviderError as error:
                if error.retryable:
                    raise
                return asked(job.status, provider_job_id)  # the word has come, but not the message of a failed run

        word = self._retry.call(ask)
        return status_of(getattr(word, "name", word), STATUS_TABLE, PROVIDER, provider_job_id)

    def _read(self, results: Any, job: Any, provider_job_id: str, run: Run) -> ProgramResult:
        program = self._jobs[provider_job_id][1] if self._service is None else self._carried(results, job)
        if program is None:
            raise self._error(f"Job {provider_job_id} carries no program; it was not submitted here.", provider_job_id)
        told = run.provenance(program, provider_job_id=provider_job_id, runtime=runtime().__version__)
        try:
            if are_estimates(results):
                expectations, errors = expectations_of(results, program)
                facts = {"primitive": "estimator", "standard_errors": errors.tolist()}
                return ProgramResult(expectations=expectations, provenance=told | facts)
            counts = asked(lambda: counts_of(results, program), provider_job_id)
            return MeasuredProgram(program).result(counts, told)
        except ProviderError as error:  # which does not know the job
            raise self._error(str(error), provider_job_id, retryable=error.retryable) from error

    def _carried(self, results: Any, job: Any) -> Program | None:
        """The program that the job's first circuit carries: in the results, or else in what was submitted."""
        if len(results):
            found = program_of(results[0].metadata.get("circuit_metadata"))
            if found is not None:
                return found
        pubs = self._retry.call(lambda: asked(lambda: job.inputs)).get("pubs") or [(None,)]
        return program_of(getattr(pubs[0][0], "metadata", None))

    def _error(self, text: str, provider_job_id: str | None, retryable: bool = False) -> ProviderError:
        return ProviderError(text, provider=PROVIDER, provider_job_id=provider_job_id, retryable=retryable)


@dataclass(frozen=True, slots=True)
class _Work:
    """What goes to one of IBM's primitives.

    Attributes:
        primitive: Name of its class.
        pubs: What it runs.
        options: Of it, for this program.
        asked: Of the run.
    """

    primitive: str
    pubs: tuple[Any, ...]
    options: Mapping[str, Any]
    asked: Mapping[str, Any]

    def begun(self, mode: Any, options: Mapping[str, Any]) -> Any:
        """Return the job that was begun in a mode, with more options."""
        primitive = getattr(runtime(), self.primitive)(mode=mode, options={**self.options, **options})
        return primitive.run(list(self.pubs), **self.asked)


def _tag(token: str) -> str:
    """The job's tag for a token: itself where it is plain and short, else its SHA-256."""
    plain = re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", token)
    return f"superpose-{token if plain else hashlib.sha256(token.encode()).hexdigest()[:40]}"
