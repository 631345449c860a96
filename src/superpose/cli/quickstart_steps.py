"""The steps of `superpose quickstart`, from an empty directory to a prediction."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from superpose.cli.comparison import rows_of
from superpose.cli.output import console
from superpose.cli.quickstart_room import room as private_room
from superpose.cli.quickstart_story import Story, TrainingStory
from superpose.cli.server_process import ReadyService, ServerProcess
from superpose.errors import ApiError

if TYPE_CHECKING:
    from superpose.client import Client, Dataset, Endpoint, Job, ModelVersion, Prediction

__all__ = ["Quickstart"]

DATASET: Final = "breast_cancer"
MODEL: Final = "breast_cancer"
N_CALLS: Final = 50
#: What is trained: small enough for a minute on two cores, controls, baseline and five splits included.
SPEC: Final[dict[str, Any]] = {
    "model": {"n_qubits": 4, "encoding": {"name": "angle"}, "ansatz": {"name": "strongly_entangling", "layers": 2}},
    "training": {"seed": 0},
    "evaluation": {"n_splits": 5, "baseline": "logistic_regression", "primary_metric": "accuracy"},
}

CONTROLS: Final = (
    "The controls tell what the quantum part adds: the twin has a classical block of its size, "
    "no entanglement leaves out its two-qubit gates, frozen weights leave it as it was drawn."
)


@dataclass(frozen=True)
class HeldOutRow:
    """A row that the registered model never saw, and its true class."""

    row: Mapping[str, Any]
    truth: str


class Quickstart:
    """One run. ``run`` returns the document that --json prints.

    Args:
        story: where the steps are told.
        data_dir: data directory of the service, or None for a temporary one.
        keep: leave the service up, and what it keeps.
    """

    def __init__(self, story: Story, data_dir: Path | None, *, keep: bool) -> None:
        self._story = story
        self._given_data_dir = data_dir
        self._keep = keep
        self._started = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Start, train, compare, deploy, predict, stop."""
        from superpose.client import Client

        story = self._story
        story.begin("a hybrid quantum-classical model, trained, judged, deployed and called")
        with ExitStack() as undo:
            pool = undo.enter_context(ThreadPoolExecutor(1))
            ready = pool.submit(kernels_are_built)
            room = undo.enter_context(private_room(keep=self._keep))  # logs, and data unless a directory was given
            service = self._start(room, undo)
            undo.push(self._tell_interruption)
            with Client(service.url, key_file=service.key_file) as client:
                dataset = self._register(client)
                job, held_out = self._train(client, dataset, ready, pool)
                version = self._compare(client, job)
                endpoint = self._deploy(client, version)
                answer, latency_ms = self._predict(client, endpoint, held_out)
                self._show_calls(client, endpoint, service, room, held_out)
            self._next_steps(service, room)
            if self._keep:
                undo.pop_all()
        rows = rows_of(version.evaluation)
        elapsed_s = time.monotonic() - self._started
        story.blank()
        left = "the service is up" if self._keep else "the service is stopped and nothing of it is left"
        if self._given_data_dir is not None and not self._keep:
            left = f"the service is stopped, its data are in {self._given_data_dir}"
        story.say(f"Done in {elapsed_s:.0f} s; {left}.")
        return {
            "elapsed_s": round(elapsed_s, 2),
            "job_id": job.id,
            "model": version.model,
            "model_version": version.version,
            "metrics": rows["hybrid"]["metrics"],
            "controls": version.evaluation["models"]["controls"],
            "baseline": version.evaluation["models"]["baseline"],
            "verdict": version.evaluation["verdict"],
            "endpoint": endpoint.name,
            "prediction": {**answer.to_dict(), "truth": held_out.truth},
            "predict_latency_ms": round(latency_ms, 3),
        }

    def _tell_interruption(self, kind: type[BaseException] | None, *_: object) -> None:
        """Say that cleaning up goes on, where somebody has pressed Ctrl-C."""
        if kind is not None and not issubclass(kind, Exception):
            self._story.blank()
            self._story.say("Interrupted: stopping the service and removing what it kept.")

    def _start(self, room: Path, undo: ExitStack) -> ReadyService:
        """The service, its kernels being built meanwhile if that was never done on this machine."""
        story = self._story
        story.step("Service")
        data_dir = self._given_data_dir or room / "data"
        passing = self._given_data_dir is None and not self._keep
        server = ServerProcess(data_dir, room, keep=self._keep, drain_s=2.0 if passing else 20.0)
        undo.callback(server.stop)
        with story.waiting("starting the service"):
            service = server.wait_ready()
        story.line(f"running at {service.url}")
        story.line(f"data in {data_dir}")
        return service

    def _register(self, client: Client) -> Dataset:
        """The breast cancer data; those of an earlier run in the same data directory are taken as they are."""
        story = self._story
        story.step("Data")
        try:
            with story.waiting("registering the data"):
                dataset = client.datasets.add_builtin(DATASET)
        except ApiError as error:
            if error.problem_code != "service.conflict":
                raise
            dataset = client.datasets.get(DATASET)
        story.say(
            f"{dataset.name}: {dataset.n_rows} rows, {dataset.n_features} features, "
            f"{dataset.target}: {' or '.join(dataset.classes)} (Wisconsin)"
        )
        return dataset

    def _train(
        self, client: Client, dataset: Dataset, kernels_ready: Future[bool], pool: Executor
    ) -> tuple[Job, HeldOutRow]:
        """The finished training job; a held-out row is looked up meanwhile."""
        story = self._story
        story.step("Training")
        job = client.jobs.train(dataset=dataset.name, model=MODEL, spec=SPEC)
        n_splits = SPEC["evaluation"]["n_splits"]
        story.say(
            f"{job.id}: a hybrid model, three controls and a baseline, on {n_splits} splits; "
            f"{SPEC['model']['n_qubits']} qubits"
        )
        seen = 0
        if not kernels_ready.result():
            story.say("first the engine's kernels are built, which is done once on a machine ...")
            began = time.monotonic()
            with story.waiting("building"):
                seen = last_before_progress(client, job)
            story.say(f"... in {time.monotonic() - began:.1f} s")
        held_out = pool.submit(held_out_row, SPEC)
        started = time.monotonic()
        variants = ("hybrid", "classical_twin", "no_entanglement", "frozen", "baseline")
        live = story.out if story.out.is_terminal else console(sys.stderr)
        with TrainingStory(story, live, SPEC["evaluation"]["primary_metric"], variants) as training:
            job = client.jobs.wait(job.id, training.show, after=seen)
        if not job.succeeded:
            from superpose.client.problems import job_failed

            raise job_failed("The training job", job.id, job.status, job.error)
        story.say(f"{n_splits * len(variants)} models trained in {time.monotonic() - started:.1f} s")
        return job, held_out.result()

    def _compare(self, client: Client, job: Job) -> ModelVersion:
        """The registered model, and the honest table."""
        version = client.models.version(job.model or MODEL, job.model_version)
        self._story.step("Comparison")
        self._story.comparison(version.evaluation)
        self._story.blank()
        self._story.say(CONTROLS, dim=True)
        return version

    def _deploy(self, client: Client, version: ModelVersion) -> Endpoint:
        """The endpoint; one of an earlier run in the same data directory makes way."""
        self._story.step("Endpoint")
        try:
            endpoint = client.endpoints.create(MODEL, version.model, version.version)
        except ApiError as error:
            if error.problem_code != "service.conflict":
                raise
            client.endpoints.delete(MODEL)
            endpoint = client.endpoints.create(MODEL, version.model, version.version)
        self._story.line(f"model {endpoint.model} version {endpoint.version} answers at {client.url}{endpoint.url}")
        return endpoint

    def _predict(self, client: Client, endpoint: Endpoint, held_out: HeldOutRow) -> tuple[Prediction, float]:
        """The prediction of a row that the model never saw, and the median time of a call in milliseconds."""
        story = self._story
        story.step("Prediction")
        answer, first_ms = timed_predict(client, endpoint.name, held_out.row)
        latency_ms = statistics.median(timed_predict(client, endpoint.name, held_out.row)[1] for _ in range(N_CALLS))
        chance = answer.probabilities[0][answer.classes.index(answer.predictions[0])]
        story.say(f"a row it never saw: {answer.predictions[0]} with probability {chance:.3f}; it is {held_out.truth}")
        if answer.notice:
            story.say(answer.notice)
        story.say(
            f"{latency_ms:.1f} ms per call (median of {N_CALLS} calls); the first, which loads the model, took "
            f"{first_ms:.0f} ms"
        )
        return answer, latency_ms

    def _show_calls(
        self, client: Client, endpoint: Endpoint, service: ReadyService, room: Path, held_out: HeldOutRow
    ) -> None:
        """The same call in Python and with curl."""
        story = self._story
        body = room / "row.json"
        body.write_text(json.dumps({"rows": [dict(held_out.row)]}), encoding="utf-8")
        story.blank()
        story.say("The same call in Python:")
        story.code(
            [
                "import json, superpose",
                f'rows = json.load(open("{body}"))["rows"]',
                f'client = superpose.Client("{service.url}",',
                f'                          key_file="{service.key_file}")',
                f'client.predict("{endpoint.name}", rows)',
            ]
        )
        story.blank()
        story.say("and with curl:")
        story.code(curl_lines(client.url + endpoint.url, service.key_file, body))

    def _next_steps(self, service: ReadyService, room: Path) -> None:
        """What to try next, and what becomes of the service."""
        story = self._story
        story.step("Next")
        if self._keep:
            story.say(f"The service stays up until: kill {service.pid}")
            story.say(f"Its log and data are in {room}; remove them when you are done. Speak to it with:")
            story.code([f"export SUPERPOSE_URL={service.url}", f"export SUPERPOSE_KEY_FILE={service.key_file}"])
        else:
            story.say("The service stops now; `superpose quickstart --keep` leaves it up.")
        story.blank()
        story.code(
            [
                "superpose serve                                       a service that stays",
                "superpose datasets add patients.csv --target COLUMN   your own table",
                "superpose train spec.yaml --dataset patients          your own model, judged like this one",
                "superpose models card patients                        what to tell others about it",
            ]
        )


def held_out_row(spec: Mapping[str, Any]) -> HeldOutRow:
    """The first test row of the first split, which the registered model was not trained on."""
    from superpose.datasets import builtin_table, stratified_splits
    from superpose.learning.spec import EvaluationSpec

    table = builtin_table(DATASET)
    options = EvaluationSpec(**spec["evaluation"])
    split = stratified_splits(
        table.target.to_numpy(),
        n_splits=1,
        test_fraction=options.test_fraction,
        validation_fraction=options.validation_fraction,
        seed=spec["training"]["seed"],
    )[0]
    place = int(split.test[0])
    row = {str(name): float(value) for name, value in table.features.iloc[place].items()}
    return HeldOutRow(row, str(table.target.iloc[place]))


def timed_predict(client: Client, endpoint: str, row: Mapping[str, Any]) -> tuple[Prediction, float]:
    """A prediction and the milliseconds that the whole call took."""
    started = time.perf_counter()
    answer = client.predict(endpoint, [row])
    return answer, 1000 * (time.perf_counter() - started)


def curl_lines(url: str, key_file: Path, body: Path) -> list[str]:
    """A curl call whose key goes from its file through a pipe, so that it stands in no list of processes."""
    return [
        f"sed 's/^/Authorization: Bearer /' {key_file} |",
        f"  curl -sS -H @- -H 'Content-Type: application/json' -d @{body} \\",
        f"  {url}",
    ]


def kernels_are_built() -> bool:
    """Whether the kernels that training needs are there from an earlier start."""
    from superpose.engine import kernels_ready

    return kernels_ready()


def last_before_progress(client: Client, job: Job) -> int:
    """Number of the last event before the job's first progress, which this waits for."""
    seen = 0
    for event in client.jobs.events(job.id):
        if event.kind == "progress":
            break
        seen = event.seq
    return seen
