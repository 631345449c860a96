"""Jobs: submit, look, cancel, follow, wait."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from superpose.client.downloads import download, target_path
from superpose.client.job_outputs import JobArtifact, MetricPoint
from superpose.client.nouns import FINAL_STATUSES, Event, Job, Listing, job_ids
from superpose.client.reports import SavedReport, save_report
from superpose.client.resources import Resource, items, read_json, segment
from superpose.client.sse import ServerSentEvent, parse_events
from superpose.client.transport import Call
from superpose.errors import ApiError, ProtocolError, UnreachableError, WaitTimeoutError

if TYPE_CHECKING:
    from superpose.functions import FunctionSource, JobFunction, JobOptions

__all__ = ["Jobs"]

STREAM_S: Final = 60.0  # a stream is renewed after this time, so that a dead connection is never waited on for longer
RECONNECT_S: Final = 120.0
PAUSE_S: Final = 0.25
MAX_PAUSE_S: Final = 2.0


class Jobs(Resource):
    """Jobs of the key's project."""

    def train(  # noqa: PLR0913  # the fields of a submission
        self,
        *,
        dataset: str,
        model: str | None = None,
        spec: Mapping[str, Any] | None = None,
        parent: str | None = None,
        priority: int = 0,
        idempotency_key: str | None = None,
        after: Sequence[Job | str] = (),
        max_cost_usd: float | None = None,
        max_seconds: float | None = None,
    ) -> Job:
        """Submit a training job.

        Args:
            dataset: id or name of a registered data set.
            model: name in the registry that the trained version is filed under; the data set's where it is left out.
            spec: the training spec; the service's defaults fill what is left out.
            parent: a registered model to begin from: ``NAME``, ``NAME:VERSION``, ``NAME:ALIAS``, or a digest. The same
                as ``fine_tune: {parent: ...}`` of the spec, whose other fields say what is frozen and taken over.
            priority: jobs of higher priority start first.
            idempotency_key: submitting twice with the same key gives the same job. One is made up where it is
                left out, so that a request repeated after a broken connection never trains twice.
            after: jobs, or their ids, at most 100, that must have succeeded before this one begins. If one of them
                fails or is cancelled, this one fails (``service.job_dependency``).
            max_cost_usd: refused if it may cost more, in US dollars.
            max_seconds: how long workers may hold it, all attempts together; it fails after that
                (``service.job_time``).

        Raises:
            ApiError: the spec (``spec.invalid``), data set or model name is refused, or a job to come after is not
                there or has failed.
        """
        document: dict[str, Any] = {
            "kind": "train",
            "dataset": dataset,
            "model": model,
            "spec": _with_parent(spec, parent),
            "priority": priority,
        }
        if after:  # a service of an older release knows no such field
            document["after"] = job_ids(after)
        document |= {
            name: value
            for name, value in (("max_cost_usd", max_cost_usd), ("max_seconds", max_seconds))
            if value is not None
        }
        return Job.from_json(self._submit("/v1/jobs", document, idempotency_key))

    def train_template(  # noqa: PLR0913  # the fields of a submission
        self,
        template: str,
        *,
        dataset: str,
        model: str | None = None,
        options: Mapping[str, Any] | None = None,
        priority: int = 0,
        idempotency_key: str | None = None,
        after: Sequence[Job | str] = (),
        max_cost_usd: float | None = None,
        max_seconds: float | None = None,
    ) -> Job:
        """Submit the training of a template, a whole study of one kind of data.

        Args:
            template: "pneumonia", for pictures of two classes, or "demand", for series of numbers.
            dataset: id or name of a registered data set of pictures, or one whose target holds numbers
                (``target_kind="number"``) with a column "date"; see docs/pneumonia.md and docs/demand.md.
            model: name in the registry that the trained version is filed under; the data set's where it is left out.
            options: ``preset``, ``seeds``, ``epochs`` and ``variants``, as `train_pneumonia` takes them; or
                ``frequency``, ``horizon``, ``origins``, ``calibration``, ``seeds``, ``epochs``, ``variants`` and
                ``gaps``, as `train_demand` does.
            priority: jobs of higher priority start first.
            idempotency_key: submitting twice with the same key gives the same job.
            after: jobs, or their ids, that must have succeeded before.
            max_cost_usd: refused if it may cost more, in US dollars.
            max_seconds: how long workers may hold it, all attempts together.

        Raises:
            ApiError: no such template or data set, an option that it does not take (``spec.invalid``), or data that it
                cannot be trained on (``dataset.…``).
        """
        document: dict[str, Any] = {
            "kind": "train_template",
            "template": template,
            "dataset": dataset,
            "model": model,
            "options": dict(options or {}),
            "priority": priority,
            "after": job_ids(after),
            "max_cost_usd": max_cost_usd,
            "max_seconds": max_seconds,
        }
        return Job.from_json(self._submit("/v1/jobs", document, idempotency_key))

    def estimate_template(
        self,
        template: str,
        *,
        dataset: str,
        options: Mapping[str, Any] | None = None,
        max_seconds: float | None = None,
    ) -> dict[str, Any]:
        """What a template's job would be expected to take; nothing is queued.

        Args:
            template: "pneumonia" or "demand".
            dataset: id or name of a registered data set.
            options: as `train_template` takes them.
            max_seconds: how long workers might hold it, all attempts together.

        Returns:
            As `estimate`.

        Raises:
            ApiError: as for `train_template`; budgets and quotas are not looked at.
        """
        return self._estimate(
            {"template": template, "dataset": dataset, "options": dict(options or {}), "max_seconds": max_seconds}
        )

    def estimate(
        self,
        *,
        dataset: str,
        spec: Mapping[str, Any] | None = None,
        parent: str | None = None,
        max_seconds: float | None = None,
    ) -> dict[str, Any]:
        """What a training job would be expected to take; nothing is queued.

        Args:
            dataset: id or name of a registered data set.
            spec: as `train` takes it.
            parent: a registered model to begin from, as `train` takes it.
            max_seconds: how long workers might hold it, all attempts together.

        Returns:
            ``estimate`` (``cpu_s``, seconds of a processor, and ``parts`` of them by variant; None where nobody says),
            ``remarks`` (why not, or that the job may not end in time), and what would be set aside: ``provider_usd``,
            ``worker_usd``, ``reserved_usd`` for at most ``max_seconds``.

        Raises:
            ApiError: as for `train`; budgets and quotas are not looked at.
        """
        return self._estimate({"dataset": dataset, "spec": _with_parent(spec, parent), "max_seconds": max_seconds})

    def _estimate(self, document: Mapping[str, Any]) -> dict[str, Any]:
        call = Call("POST", "/v1/jobs/estimate", body=json.dumps(document).encode(), repeatable=True)
        return dict(read_json(self._transport.send(call)))

    def submit(  # the fields of a submission
        self,
        function: JobFunction | FunctionSource | str,
        params: Mapping[str, Any] | None = None,
        *,
        copy_from: Job | str | None = None,
        priority: int = 0,
        after: Sequence[Job | str] = (),
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a function of your own, decorated with `@superpose.job`, where the service allows user code.

        The text of the function's file is what travels; the worker imports it in a process of its own.

        Args:
            function: the decorated function, or ``"FILE.py:NAME"``.
            params: JSON values, given to the function by name.
            copy_from: a finished job, or its id, whose checkpoint directory this one starts with.
            priority: jobs of higher priority start first.
            after: jobs, or their ids, that must have succeeded before.
            idempotency_key: submitting twice with the same key gives the same job.

        Raises:
            JobFunctionError: there is no such function, or it does not take these parameters.
            ApiError: the service runs no user code (``service.user_code``), or refuses the submission otherwise.
        """
        source, options = _function(function)
        source.check_params(params or {})
        document: dict[str, Any] = {
            "kind": "function",
            "source": source.text,
            "sha256": source.digest,
            "file": source.file,
            "function": source.function,
            "params": dict(params or {}),
            "options": options.to_json(),
            "copy_from": copy_from.id if isinstance(copy_from, Job) else copy_from,
            "priority": priority,
            "after": job_ids(after),
        }
        return Job.from_json(self._submit("/v1/jobs", document, idempotency_key))

    def metrics(self, job_id: str, name: str | None = None) -> Listing[MetricPoint]:
        """Numbers that the job's function logged, or those of one name."""
        query = {"name": name} if name else {}
        return items(self._transport, f"/v1/jobs/{segment(job_id)}/metrics", MetricPoint.from_json, query, None)

    def artifacts(self, job_id: str) -> Listing[JobArtifact]:
        """Files that the job left: its outputs, and what its checkpoint directory held in the end."""
        return items(self._transport, f"/v1/jobs/{segment(job_id)}/artifacts", JobArtifact.from_json, {}, None)

    def download(self, job_id: str, name: str, path: str | Path | None = None, *, role: str = "output") -> Path:
        """Save a file that the job left and return where; the digest that the service states is checked.

        Args:
            job_id: the job.
            name: of the file, as `artifacts` lists it.
            path: file or directory to write; the file's own name here where it is left out.
            role: "output" or "checkpoint".
        """
        target = target_path(path, name.rpartition("/")[2])
        parts = "/".join(map(segment, name.split("/")))
        download(self._transport, f"/v1/jobs/{segment(job_id)}/artifacts/{segment(role)}/{parts}", target)
        return target

    def report(self, job_id: str, path: str | Path | None = None, *, format: str | None = None) -> SavedReport:
        """Save the report of a training job that has succeeded; the digest that the service states is checked.

        Args:
            job_id: the job.
            path: file or directory to write; ``JOB-report.html`` here where it is left out.
            format: "html" or "pdf"; by default what the file's name ends with, else "html".
        """
        return save_report(self._transport, f"/v1/jobs/{segment(job_id)}/report", path, format, job_id)

    def remove_artifacts(self, job_id: str) -> None:
        """Remove all files that an ended job left; its metrics stay."""
        self._delete(f"/v1/jobs/{segment(job_id)}/artifacts")

    def get(self, job_id: str) -> Job:
        """One job as it stands now."""
        return Job.from_json(self._get(f"/v1/jobs/{segment(job_id)}"))

    def list(self, *, status: str | None = None, limit: int | None = None) -> Listing[Job]:
        """Jobs, newest first; those of one status, or the first ``limit``."""
        return items(self._transport, "/v1/jobs", Job.from_json, {"status": status} if status else {}, limit)

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to be stopped; a running one passes through ``cancelling``."""
        call = Call("POST", f"/v1/jobs/{segment(job_id)}/cancel", repeatable=True)
        return Job.from_json(read_json(self._transport.send(call)))

    def events(self, job_id: str, after: int = 0, *, timeout_s: float | None = None) -> Iterator[Event]:
        """The job's events from number ``after`` + 1 on, as they happen, until the job has finished.

        A broken connection or a restart of the service is survived: the stream goes on where it stopped, and gives
        each event once.

        Raises:
            UnreachableError: the service stayed away for 120 s.
            WaitTimeoutError: ``timeout_s`` has passed.
            ApiError: no such job in this project.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        last, away_since, pause_s = after, time.monotonic(), PAUSE_S
        while True:
            finished, fresh = False, False
            try:
                for event in self._stream(job_id, last, _left_s(job_id, deadline)):
                    last, fresh = event.seq, True
                    finished = is_final(event)
                    yield event
                if finished or (not fresh and self.get(job_id).finished):
                    return
                away_since, pause_s = time.monotonic(), PAUSE_S
            except (UnreachableError, ApiError) as error:
                if isinstance(error, ApiError) and error.status not in (429, 502, 503, 504):
                    raise
                if finished:
                    return
                if fresh or "timeout_s" in error.details:
                    away_since, pause_s = time.monotonic(), PAUSE_S
                elif time.monotonic() - away_since > RECONNECT_S:
                    raise
            _left_s(job_id, deadline)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def wait(
        self,
        job_id: str,
        on_event: Callable[[Event], None] | None = None,
        *,
        timeout_s: float | None = None,
        after: int = 0,
    ) -> Job:
        """The job once it has finished, however it did; ``on_event`` sees each event on the way.

        Raises:
            WaitTimeoutError: ``timeout_s`` has passed; the job goes on.
        """
        for event in self.events(job_id, after, timeout_s=timeout_s):
            if on_event is not None:
                on_event(event)
        return self.get(job_id)

    def _stream(self, job_id: str, after: int, limit_s: float) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        call = Call("GET", f"/v1/jobs/{segment(job_id)}/events", headers=headers, timeout_s=limit_s)
        with self._transport.stream(call) as chunks:
            for raw in parse_events(chunks):
                event = read_event(raw)
                if event.seq > after:
                    yield event


def _with_parent(spec: Mapping[str, Any] | None, parent: str | None) -> dict[str, Any]:
    """The spec with the model that it begins from."""
    wanted = dict(spec or {})
    if parent is not None:
        wanted["fine_tune"] = {**wanted.get("fine_tune", {}), "parent": parent}
    return wanted


def _function(function: JobFunction | FunctionSource | str) -> tuple[FunctionSource, JobOptions]:
    """Text and options of what is to be submitted."""
    from superpose.functions import JobFunction, read_function

    if isinstance(function, JobFunction):
        return function.source, function.options
    source = read_function(function) if isinstance(function, str) else function
    return source, source.options


def _left_s(job_id: str, deadline: float | None) -> float:
    """Seconds that the next stream may last.

    Raises:
        WaitTimeoutError: none are left.
    """
    if deadline is None:
        return STREAM_S
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise WaitTimeoutError(
            f"Job {job_id} has not finished in the time given; it goes on. Wait again, or cancel it."
        )
    return min(STREAM_S, left_s)


def is_final(event: Event) -> bool:
    """Whether a job has no events after this one: it tells a final status."""
    return event.data.get("status") in FINAL_STATUSES or event.kind in FINAL_STATUSES


def read_event(raw: ServerSentEvent) -> Event:
    """A job event from its server-sent form.

    Raises:
        ProtocolError: the data are not the JSON of an event.
    """
    try:
        document = json.loads(raw.data)
    except ValueError:
        raise ProtocolError(
            "An event of the job is not JSON; client and service may be of different releases."
        ) from None
    if isinstance(document, dict) and "seq" not in document:
        seq = int(raw.id) if raw.id.isascii() and raw.id.isdigit() else None
        document = {"seq": seq, "at": None, "kind": raw.event, "data": document}
    return Event.from_json(document)
