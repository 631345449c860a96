"""What a worker does with each kind of job. A kind is a row of ``RUNS``; the rooms behind are imported on first use."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.errors import ModelFileCorruptError, PayloadTooLargeError
from superpose.service.config import ServiceConfig
from superpose.service.nouns import Job, JobKind, utc_now
from superpose.service.people.residency import Confinement
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.claims import NewJob
from superpose.service.store.database import Database, json_text
from superpose.service.work.provider_runs import ProviderRun, ProviderRuns, note_start
from superpose.trust import sha256_bytes

if TYPE_CHECKING:
    from superpose.datasets import Table
    from superpose.learning import ExperimentResult, TrainingSpec
    from superpose.learning.recipe import CircuitRecipe
    from superpose.service.work.loops import LoopBook
    from superpose.service.work.outputs import Ledger

__all__ = [
    "LONGEST_PAUSE_S",
    "RUNS",
    "Asks",
    "Awaits",
    "Outcome",
    "RunContext",
    "manifest_of",
    "pause_s",
    "trained_outcome",
]

LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class RunContext:
    """What a run may use.

    Attributes:
        config: limits.
        artifacts: where the training data lies.
        database: for runs that look at the jobs which they began.
        provider_runs: what backends with queues hold of the job.
        loop_book: what is written down of a loop at a provider.
        confinement: backends, held to the residency rules of the job's project.
        dataset_artifact: the training data's artifact, None for a program.
        directory: where the run keeps checkpoints; an earlier attempt's are there.
        on_event: called with kind and data of each event.
        should_stop: whether to stop at the next checkpoint.
        cancelling: whether that would be because the user has cancelled the job.
        time_over: whether workers have held the job for as long as they may.
        n_retries: attempts of the job that ended with an error and were followed by another.
        ledger: where a function's metrics and files go.
        dataset_units: unit by column of the training data.
        dataset_domain: what the training data are about.
    """

    config: ServiceConfig
    artifacts: Artifacts
    database: Database
    provider_runs: ProviderRuns
    confinement: Confinement
    loop_book: LoopBook
    dataset_artifact: str | None
    directory: Path
    on_event: Callable[[str, Mapping[str, Any]], None]
    should_stop: Callable[[], bool]
    cancelling: Callable[[], bool] = lambda: False
    time_over: Callable[[], bool] = lambda: False
    n_retries: int = 0
    ledger: Ledger | None = None
    dataset_units: Mapping[str, str | None] = field(default_factory=dict)
    dataset_domain: str = "general"

    def recipe(self, spec: TrainingSpec) -> CircuitRecipe:
        """What trains a spec's networks: on the backend that it names, held to the rules of the job's project.

        Raises:
            ResidencyError: these do not allow it.
            BackendUnknownError, ToolkitMissingError, ProviderError: no such backend, or it cannot be reached.
        """
        from superpose.learning.recipe import CircuitRecipe

        name = spec.backend.name
        return CircuitRecipe(spec, None if name is None else self.confinement.guarded(name))

    def training_table(self) -> Table:
        """The training data, verified, with the units that its data sheet has now.

        Raises:
            ArtifactError: its file is gone or has changed.
        """
        from superpose.datasets import table_from_parquet_bytes

        table = table_from_parquet_bytes(self.artifacts.read(self.dataset_artifact or ""))
        return table.with_units(self.dataset_units).of_domain(self.dataset_domain)


@dataclass(frozen=True)
class Awaits:
    """What a run leaves off for: ``children`` to begin, and the ids of those whose end it has ``seen``."""

    children: tuple[NewJob, ...]
    seen: frozenset[str]


@dataclass(frozen=True)
class Asks:
    """A program in a backend's queue, or None where it has no slot there yet, and when to ask again."""

    provider_job_id: str | None
    pause_s: float


@dataclass(frozen=True)
class Outcome:
    """What a run gives: the job's result, and for a training run the model file and its row in the registry.

    ``output`` is the file that a file job has made, to be kept as an artifact; its digest and size go into the result.

    With ``awaits`` or ``asks`` it is not the end: the job waits for children or a provider and then runs again.
    """

    result: Mapping[str, object]
    model_file: bytes | None = None
    version: Mapping[str, object] | None = None
    awaits: Awaits | None = None
    output: Path | None = None
    asks: Asks | None = None


def _train(job: Job, context: RunContext) -> Outcome:
    from superpose.service.work.training import train

    return train(job, context)


def trained_outcome(found: ExperimentResult, evidence: Mapping[str, object]) -> Outcome:
    """What an experiment leaves, with its evidence, as a job's outcome."""
    content = found.model_path.read_bytes()
    version = {
        "digest": found.model_digest,
        "artifact": sha256_bytes(content),
        "metrics": dict(found.evaluation.get("model_metrics", {})),
        "evaluation": dict(found.evaluation),
        "manifest": manifest_of(content, found.model_digest),
        "evidence": dict(evidence),
    }
    result = {"digest": found.model_digest, "evaluation": dict(found.evaluation)}
    return Outcome(result, content, version)


def run_program(job: Job, context: RunContext) -> Outcome:
    """Run a quantum program: on the local backend, or where its submission or a quantum function sends it.

    Between handing a program over to a backend with a queue and the arrival of its result the job holds no worker.

    Raises:
        ResidencyError: the project's rules, which may have changed since it was submitted, do not allow the backend.
        SuperposeError: the program cannot be run, or its result is larger than ``max_result_bytes``.
    """
    from superpose.circuits import QueueingBackend, program_from_json, result_to_json

    payload: dict[str, Any] = dict(job.payload)
    name = str(payload.pop("of_call", {}).get("backend") or payload.pop("backend", "local"))
    backend = context.confinement.backend(name)
    scaled_from = payload.pop("scaled_from", None)
    program = program_from_json(payload)
    if isinstance(backend, QueueingBackend):
        runs = context.provider_runs.at(name)
        provider_job_id = job.provider_job_id
        if provider_job_id is None:
            context.confinement.require(backend)
            if not runs.reserve(job.id):
                return Outcome({}, asks=Asks(None, pause_s(job, context.config)))
            provider_job_id = backend.submit(program, job.id)
        known = runs.known().get(job.id)
        if known is None or known.provider_job_id is None:
            runs.write(job.id, ProviderRun(provider_job_id, 0))
        arrived = backend.fetch(provider_job_id)
        if arrived is None:
            note_start(backend, runs, job.id, provider_job_id)
            return Outcome({}, asks=Asks(provider_job_id, pause_s(job, context.config)))
        runs.forget([job.id], arrived=True)
    else:
        context.confinement.require(backend)
        arrived = backend.run(program)
    result = dict(result_to_json(arrived))
    if scaled_from is not None:
        result["provenance"] = {**result.get("provenance", {}), "shots": payload["shots"], "scaled_from": scaled_from}
    n_bytes = len(json_text(result))
    if n_bytes > context.config.max_result_bytes:
        raise PayloadTooLargeError(
            f"The result has {n_bytes:,} bytes as JSON; at most {context.config.max_result_bytes:,} are kept. Ask for "
            "expectations or counts instead of state vectors, or for fewer parameter values at once.",
            n_bytes=n_bytes,
            max_bytes=context.config.max_result_bytes,
        )
    return Outcome(result)


def pause_s(job: Job, config: ServiceConfig) -> float:
    """Time before a provider is asked again: a tenth of the time waited so far, at most a minute."""
    waited_s = 0.0 if job.started_at is None else (utc_now() - job.started_at).total_seconds()
    return max(config.poll_max_s, min(LONGEST_PAUSE_S, waited_s / 10))


def sweep(job: Job, context: RunContext) -> Outcome:
    """Take a sweep one step on: begin trials or the final training, or tell the end."""
    from superpose.service.experiments.sweep_run import step

    return step(job, context)


def trial(job: Job, context: RunContext) -> Outcome:
    """Measure one trial of a sweep."""
    from superpose.service.experiments.sweep_run import measure

    return measure(job, context)


def _train_module(job: Job, context: RunContext) -> Outcome:
    from superpose.service.work.module_jobs import train_module

    return train_module(job, context)


def _run_function(job: Job, context: RunContext) -> Outcome:
    from superpose.service.work.function_jobs import run_function

    return run_function(job, context)


def predict(job: Job, context: RunContext) -> Outcome:
    """Predict the rows of a file."""
    from superpose.service.predictions.prediction_run import run

    return run(job, context)


def _call(job: Job, context: RunContext) -> Outcome:
    from superpose.service.quantum_functions.call_run import step

    return step(job, context)


def run_program_set(job: Job, context: RunContext) -> Outcome:
    """Run a program set in pieces."""
    from superpose.service.program_sets.set_run import run

    return run(job, context)


def solve(job: Job, context: RunContext) -> Outcome:
    """Solve a problem from logistics."""
    from superpose.service.solutions.solution_run import run

    return run(job, context)


def import_model(job: Job, context: RunContext) -> Outcome:
    """Make a model file a version."""
    from superpose.service.catalogue.imports import run

    return run(job, context)


def _train_template(job: Job, context: RunContext) -> Outcome:
    from superpose.service.work.template_jobs import train_template

    return train_template(job, context)


#: job kind -> how it runs.
RUNS: Mapping[JobKind, Callable[[Job, RunContext], Outcome]] = {
    JobKind.TRAIN: _train,
    JobKind.PROGRAM: run_program,
    JobKind.SWEEP: sweep,
    JobKind.TRIAL: trial,
    JobKind.TRAIN_MODULE: _train_module,
    JobKind.FUNCTION: _run_function,
    JobKind.PREDICT: predict,
    JobKind.CALL: _call,
    JobKind.PROGRAM_SET: run_program_set,
    JobKind.SOLVE: solve,
    JobKind.IMPORT: import_model,
    JobKind.TRAIN_TEMPLATE: _train_template,
}


def manifest_of(content: bytes, digest: str) -> dict[str, Any]:
    """The manifest inside a model file, whose SHA-256 is the model's digest."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        text = file.read("manifest.json")
    if sha256_bytes(text) != digest:
        raise ModelFileCorruptError(
            f"The model file just written states digest {digest[:12]}, its manifest has {sha256_bytes(text)[:12]}.",
        )
    manifest: dict[str, Any] = json.loads(text)
    return manifest
