"""The client: one address, one key, the service's nouns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

from superpose.client.audit import Audit
from superpose.client.budgets import Budgets
from superpose.client.discovery import discover
from superpose.client.endpoints import Endpoints
from superpose.client.explanations import (
    EXPLAIN_TIMEOUT_S,
    Explanation,
    MoreToExplain,
    more_to_json,
    told_of_patience,
)
from superpose.client.functions import Functions
from superpose.client.jobs import Jobs
from superpose.client.keys import Keys
from superpose.client.models import Models
from superpose.client.modules import Modules, example_rows
from superpose.client.nouns import Job, Prediction
from superpose.client.predictions import BatchPrediction, Predictions, format_of
from superpose.client.program_sets import ProgramSets
from superpose.client.programs import run_program
from superpose.client.projects import Projects, Users
from superpose.client.resources import Datasets, json_call, read_json, segment
from superpose.client.rows import rows_to_json
from superpose.client.solutions import Solutions
from superpose.client.sweeps import Sweeps
from superpose.client.transport import Call, Transport
from superpose.client.waits import Waits
from superpose.client.webhooks import Webhooks

if TYPE_CHECKING:
    import torch

    from superpose.circuits import Program, ProgramResult, ProgramSet, ProgramSetResult

__all__ = ["Client"]


class Client:
    """A client of one superpose service; it speaks the REST interface and nothing else.

    Without arguments it speaks to the service that runs here (`superpose serve`). The key is read from a file that only
    its owner can read, and stands in no ``repr``, message or log.

    Args:
        url: address of the service; else SUPERPOSE_URL, else the service running here, else http://127.0.0.1:8000.
        key: the API key itself; a key file is the better place for it.
        key_file: a file with the key (mode 0600); else SUPERPOSE_KEY_FILE, else SUPERPOSE_KEY, else the running
            service's own key file.
        timeout_s: how long one answer may take.
        ca_file: PEM file of certificates to trust beside the system's, for an https address whose certificate an
            organisation signed itself; else SUPERPOSE_CA_FILE.

    Use it as a context manager, or call ``close``. One client serves many threads.

    Example::

        with superpose.Client() as client:
            client.datasets.add("patients.csv", target="diagnosis")
            job = client.jobs.train(dataset="patients", model="triage", spec={})
            client.jobs.wait(job.id)
            client.endpoints.create("triage", model="triage")
            client.predict("triage", rows).predictions
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        key_file: str | Path | None = None,
        timeout_s: float = 30.0,
        ca_file: str | Path | None = None,
    ) -> None:
        connection = discover(url, key, key_file, ca_file)
        self._transport = Transport(connection.url, connection.key, timeout_s, connection.ca_file)
        self._key_source = connection.key_source
        self.datasets = Datasets(self._transport)
        self.jobs = Jobs(self._transport)
        self.modules = Modules(self._transport)
        self.models = Models(self._transport)
        self.sweeps = Sweeps(self._transport)
        self.predictions = Predictions(self._transport)
        self.program_sets = ProgramSets(self._transport)
        self.solutions = Solutions(self._transport)
        self.endpoints = Endpoints(self._transport)
        self.functions = Functions(self._transport)
        self.keys = Keys(self._transport)
        self.projects = Projects(self._transport)
        self.users = Users(self._transport)
        self.budgets = Budgets(self._transport)
        self.waits = Waits(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.audit = Audit(self._transport)

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._transport.url

    def __repr__(self) -> str:
        return f"Client({self.url!r}, key from {self._key_source})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; later calls raise."""
        self._transport.close()

    def predict(
        self,
        endpoint: str,
        rows: object,
        *,
        prediction_set: bool = False,
        abstain: bool | float | str = False,
        novelty: bool = False,
    ) -> Prediction:
        """Predictions and probabilities for rows; numbers and their intervals, of a model that predicts numbers.

        Args:
            endpoint: its name.
            rows: a DataFrame, an array of shape ``(n_rows, n_features)``, a list of dicts or a list of lists; missing
                values are None or NaN.
            prediction_set: also the classes that hold the true one as often as the model's coverage says.
            abstain: whether a prediction may be None: True by the model's own rule, a number where the largest
                probability is below it, "set" where the prediction set has more than one class.
            novelty: also how unlike the training rows each row is.

        Raises:
            RequestError: the rows have another form.
            ApiError: no such endpoint, rows that the model does not take (``learning.feature_mismatch``), or a model
                version that cannot tell what is asked for (``learning.safeguard_absent``, or
                ``learning.predicts_numbers`` where only classes have it).
        """
        path = f"/v1/endpoints/{segment(endpoint)}/predict"
        asked = {"prediction_set": prediction_set or None, "novelty": novelty or None}
        document = {"rows": rows_to_json(rows), **asked, "abstain": None if abstain is False else abstain}
        call = json_call("POST", path, document, repeatable=True)
        return Prediction.from_json(read_json(self._transport.send(call)))

    def explain(
        self,
        endpoint: str,
        rows: object,
        *,
        method: str = "integrated_gradients",
        of_class: str | None = None,
        timeout_s: float | None = None,
        **more: Unpack[MoreToExplain],
    ) -> Explanation:
        """What the predictions of rows were made of.

        Args:
            endpoint: its name.
            rows: as for `predict`, at most 100.
            method: "integrated_gradients", "gradient_x_input", "occlusion" or "shapley"; see docs/explanations.md.
            of_class: the class whose probability is explained; by default each row's own prediction.
            timeout_s: how long the answer may take; by default ten minutes, or the client's own limit if that is
                longer. The service ends the work once the client has gone.
            more: ``counterfactuals``, how many changes of the label to look for, or options such as ``{"n": 3,
                "fixed": ["age"]}``; ``shots``, to be told how likely labels are to flip; ``words`` in plain words;
                ``picture`` of images, a kind ("auto", "class_activation", "attribution", "occlusion") or options.

        Raises:
            RequestError: the rows have another form.
            ApiError: no such endpoint, method or class, or rows that the model does not take.
            UnreachableError: nothing answers, or not in time.
        """
        path = f"/v1/endpoints/{segment(endpoint)}/explain"
        body = {"rows": rows_to_json(rows), "method": method, "of_class": of_class, **more_to_json(more)}
        limit_s = max(self._transport.timeout_s, EXPLAIN_TIMEOUT_S) if timeout_s is None else timeout_s
        call = json_call("POST", path, body, repeatable=True, timeout_s=limit_s)
        with told_of_patience(endpoint, len(body["rows"])):
            return Explanation.from_json(read_json(self._transport.send(call)))

    def train_module(
        self,
        module: torch.nn.Module,
        dataset: str,
        *,
        example: torch.Tensor | None = None,
        loss: str = "cross_entropy",
        name: str | None = None,
        model: str | None = None,
        **training: Any,
    ) -> Job:
        """Train a PyTorch module of your own on the service, beside a tuned baseline, as a durable job.

        The module is exported here (`superpose.export_module`) and uploaded as data: its code neither leaves this
        machine nor runs on the service.

        Args:
            module: takes encoded rows ``(batch, n_columns)``; quantum parts are `QuantumLayer`s.
            dataset: id or name of a registered data set.
            example: rows such as the module takes; zeros as wide as the data set where it is left out.
            loss: "cross_entropy" (one score per class), "nll" (log probabilities) or "binary_cross_entropy" (one
                logit).
            name: name of the exported module; made of its class and digest where it is left out.
            model: name in the registry; the data set's where it is left out.
            training: ``epochs``, ``batch_size``, ``learning_rate`` and other fields of the spec's section training;
                ``spec`` for all sections.

        Raises:
            ModuleExportError: the module cannot be exported; the message names why, and the line where torch tells it.
            ApiError: module, loss, spec and data do not fit one another (``spec.invalid``).
        """
        from superpose.learning import export_module
        from superpose.trust import sha256_bytes

        spec = dict(training.pop("spec", None) or {})
        if training:
            spec["training"] = {**spec.get("training", {}), **training}
        rows = example_rows(self.datasets.get(dataset)) if example is None else example
        exported = export_module(module, rows)
        content = exported.to_bytes()
        stored = self.modules.add(content, name=name or f"{exported.name.lower()}-{sha256_bytes(content)[:8]}")
        return self.modules.train(stored.id, dataset=dataset, loss=loss, model=model, spec=spec)

    def predict_file(
        self,
        model: str,
        source: str | Path,
        target: str | Path,
        *,
        version: int | str | None = None,
        on_error: str = "fail",
        after: Sequence[Job | str] = (),
        timeout_s: float | None = None,
        **more: Any,
    ) -> BatchPrediction:
        """Predict a file's rows with a model, as a durable job, and save the file of predictions.

        Args:
            model: its name; no endpoint is needed.
            source: a .csv, .parquet or .npz file, sent in pieces; columns that the model does not need are ignored.
            target: the file to write; its suffix says the format. It has the number of each row in ``source`` (from
                0), the predicted class, and a probability per class.
            version: number or alias; the latest where it is left out.
            on_error: "fail" or "skip", for rows that cannot be predicted; skipped ones are in ``result["failures"]``.
            after: jobs, or their ids, that must have succeeded before it begins.
            timeout_s: how long to wait at most; None waits for the end.
            more: ``prediction_set``, ``abstain`` and ``novelty``, as for `predict`.

        Raises:
            RequestError: a file of no known format.
            ApiError: the service refuses the file or the model.
            JobFailedError: the job did not succeed, such as at a row that cannot be predicted.
            WaitTimeoutError: ``timeout_s`` has passed; the job goes on.
        """
        form = format_of(Path(target))
        made = self.predictions.create(
            model, source, version=version, format=form, on_error=on_error, after=after, **more
        )
        found = self.predictions.wait(made.id, timeout_s=timeout_s)
        self.predictions.download(made.id, target)
        return found

    @overload
    def run(
        self,
        program: Program,
        *,
        timeout_s: float | None = None,
        backend: str = "local",
        max_cost_usd: float | None = None,
        scale_shots: bool = False,
    ) -> ProgramResult: ...

    @overload
    def run(
        self, program: ProgramSet, *, timeout_s: float | None = None, backend: str = "local"
    ) -> ProgramSetResult: ...

    def run(
        self,
        program: Program | ProgramSet,
        *,
        timeout_s: float | None = None,
        backend: str = "local",
        max_cost_usd: float | None = None,
        scale_shots: bool = False,
    ) -> ProgramResult | ProgramSetResult:
        """Run a quantum program, or a program set, on the service and wait for its result.

        A set's arrays stay on the service until they are indexed; see `superpose.ProgramSetResult`.

        Args:
            program: what to run.
            timeout_s: how long to wait.
            backend: name of the service's backend.
            max_cost_usd: programs only: refused if it may cost more, in US dollars.
            scale_shots: programs only: run with fewer shots where this limit, or a budget, leaves too little; the
                result's provenance then has ``shots`` and ``scaled_from``.

        Raises:
            ApiError: the service refuses the program (``circuit.*``, ``engine.state_too_large``, ``quota.budget``).
            JobFailedError: its job did not succeed.
            WaitTimeoutError: ``timeout_s`` has passed; the job goes on.
        """
        from superpose.circuits import ProgramSet

        if isinstance(program, ProgramSet):
            return self.program_sets.result(self.program_sets.create(program, backend=backend).id, timeout_s=timeout_s)
        query: dict[str, Any] = {"backend": backend, "max_cost_usd": max_cost_usd, "scale_shots": scale_shots or None}
        return run_program(self._transport, self.jobs, program, timeout_s, query)

    def version(self) -> Mapping[str, Any]:
        """Release and facts of the service."""
        document: Mapping[str, Any] = read_json(self._transport.send(Call("GET", "/v1/version")))
        return document

    def ready(self) -> bool:
        """Whether the service answers and takes requests; needs no key.

        Raises:
            UnreachableError: nothing answers.
        """
        return self._transport.send(Call("GET", "/v2/health/ready", accepted=(503,))).status == 200

    def live(self) -> bool:
        """Whether the service's process answers, ready or not; needs no key.

        Raises:
            UnreachableError: nothing answers.
        """
        return self._transport.send(Call("GET", "/v2/health/live", accepted=(503,))).status == 200
