"""How a service is set up: one frozen value, handed to the server and to its workers alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from superpose.circuits.finite import is_finite
from superpose.circuits.wording import shown
from superpose.errors import RequestError
from superpose.scheduling import Backoff
from superpose.service.rules import JobRules
from superpose.service.webhooks.addresses import read_networks
from superpose.service.webhooks.rules import WebhookRules

__all__ = ["ServiceConfig"]

_MEBIBYTE = 1024 * 1024
_MAY_BE_ZERO = {
    *("workers", "progress_s", "cache_s", "max_retries", "max_delay_ms", "trace_share"),
    *("worker_nice", "recycle_jobs", "recycle_bytes", "worker_second_usd"),
}


@dataclass(frozen=True, kw_only=True)
class ServiceConfig:
    """Settings of a service and of its workers.

    Attributes:
        data_dir: directory of everything that lasts; created with mode 0700.
        workers: number of worker processes that a ``Supervisor`` keeps alive.
        threads_per_worker: most CPU threads of one worker; None means all that no other worker uses.
        cpu_threads: CPU threads of all workers together; None means the CPUs that the process may run on.
        cpu_dir: directory of this CPU budget, for services that share one; None means each has its own.
        worker_nice: how far workers step back behind everything else on the machine, 0 to 19.
        recycle_jobs: jobs after which a worker is replaced by a fresh one; 0 means never.
        recycle_bytes: growth in memory since its start after which a worker is replaced; 0 means never.
        lease_s: how long a worker may be silent before its job is given to another.
        heartbeat_s: how often a worker extends its lease; None means a third of ``lease_s``.
        max_attempts: attempts that may end by a crash before the job counts as failed.
        max_retries: attempts that may end with an error that passes (such as a full disk) before the job fails.
        retry_first_s: pause before the first retry; it doubles from one to the next, less up to a half by chance.
        retry_longest_s: longest pause before a retry.
        job_seconds: how long workers may hold one job, all attempts together; it fails at the next checkpoint after
            that. None: not limited.
        worker_second_usd: what a second of a worker costs, for budgets; above 0 it needs ``job_seconds``.
        cpu_watts: power of one busy CPU thread with its share of the machine, for estimates of the energy of trainings.
        drain_s: how long a stopping worker may take to reach its next checkpoint.
        poll_min_s: pause between two looks for work shortly after there was some.
        poll_max_s: the same pause after a long idle time.
        progress_s: shortest time between two stored progress events of one attempt.
        max_body_bytes: largest program or other JSON accepted, as bytes of the request.
        max_dataset_bytes: largest file of a data set accepted; it goes to disk as it arrives.
        max_columns: largest number of columns of a data set.
        max_instructions: instructions of a program; gate calls count expanded, some 30 us of checking each.
        max_result_bytes: largest result of a program job, as JSON.
        max_batch_rows: rows that one engine call of an endpoint answers together.
        max_request_rows: rows of one prediction request.
        max_queue_rows: rows that may wait at one endpoint before it answers "overloaded".
        max_delay_ms: how long a request may wait on purpose for others to join its batch, once requests come together.
        max_concurrency: requests under way at one endpoint before it answers "overloaded".
        predict_threads: predictions that are computed at the same time; None means the number of CPUs.
        idle_unload_s: idle time after which an endpoint lets go of its model.
        max_loaded_models: models kept in memory; the one unused for longest goes first.
        cache_s: how long a key or endpoint looked up may be used before it is read again.
        busy_timeout_s: how long a write waits for another process's transaction.
        allow_user_code: whether editors may submit functions of their own, which run with the rights of the service's
            user, in a process without keys; off unless the operator trusts all editors.
        function_timeout_s: longest time of one attempt of a function.
        function_grace_s: how long a function may go on after its job was cancelled.
        function_memory_bytes: memory (data segments) of a function's process; None sets no limit.
        function_file_bytes: largest file that a function may write; None sets no limit.
        sandbox_required: whether quantum functions' own Python is refused where this machine cannot shut it in;
            False lets it run there with the rights of the service's user.
        sandbox_processes: processes of quantum functions' own Python at the same time.
        sandbox_idle_s: idle time after which such a process is ended.
        sandbox_timeout_s: longest time of one call of such Python.
        sandbox_build_timeout_s: longest time for making a circuit when a function is deployed, and for the file's top
            level in a process that is started for a call.
        sandbox_cpu_s: processor time of one call; the kernel ends a process at twice this.
        sandbox_memory_bytes: address space of such a process.
        max_key_days: days for which a new API key may be valid at most; None for no end.
        key_used_s: how exact the time is at which a key was last used.
        wrong_keys_per_minute: wrong keys from one address that are looked at; more are told to wait.
        artifact_url: directory for data sets and model files as an fsspec URL, such as ``s3://bucket/superpose``; None
            means the data directory.
        otlp_endpoint: where OpenTelemetry traces are sent, such as ``http://127.0.0.1:4318/v1/traces``; None: nowhere.
        keep_events_days: how long `superpose prune` keeps the events of jobs that are over; None for ever.
        keep_results_days: the same of their results, where no model came of them.
        keep_files_days: the same of the files that they left or brought: predictions, results of program sets, outputs
            and checkpoints of functions.
        keep_deleted_days: the same of what describes a deleted data set that no job used.
        keep_deliveries_days: the same of messages to webhooks that were delivered or given up.
        keep_logs_days: the same of workers' old log files.
        keep_request_logs_days: the same of old files of the request log.
        trace_share: share of the traces that is sent, from 0 to 1.
        provider_slots: programs of this service that one provider may hold at once, those of running loops first; None:
            not limited.
        provider_patience_s: how long a training waits in its worker for a program at a provider, before it leaves and
            goes on when the result is there.
        webhook_networks: networks to which webhooks may be sent beside public addresses, such as ``10.20.0.0/16``; with
            a loopback one, such as ``127.0.0.0/8``, plain http is taken for those addresses.
        webhook_timeout_s: how long one request to a webhook may take.
        webhook_first_s: pause before a message is tried again; it doubles, less up to a half by chance.
        webhook_longest_s: longest such pause.
        webhook_retry_s: how long a message is tried before it is given up.
        webhook_disable_s: how long a webhook may fail without one success before it is disabled.
    """

    data_dir: Path
    workers: int = 1
    threads_per_worker: int | None = None
    cpu_threads: int | None = None
    cpu_dir: Path | None = None
    worker_nice: int = 10
    recycle_jobs: int = 1_000
    recycle_bytes: int = 1_024 * _MEBIBYTE
    lease_s: float = 30.0
    heartbeat_s: float | None = None
    max_attempts: int = 5
    max_retries: int = 5
    retry_first_s: float = 1.0
    retry_longest_s: float = 300.0
    job_seconds: float | None = None
    worker_second_usd: float = 0.0
    cpu_watts: float = 12.0
    drain_s: float = 20.0
    poll_min_s: float = 0.05
    poll_max_s: float = 0.5
    progress_s: float = 0.2
    max_body_bytes: int = 64 * _MEBIBYTE
    max_dataset_bytes: int = 1024 * _MEBIBYTE
    max_columns: int = 2_000
    max_instructions: int = 100_000
    max_result_bytes: int = 16 * _MEBIBYTE
    max_batch_rows: int = 1_024
    max_request_rows: int = 10_000
    max_queue_rows: int = 20_000
    max_delay_ms: float = 1.0
    max_concurrency: int = 2_000
    predict_threads: int | None = None
    idle_unload_s: float = 600.0
    max_loaded_models: int = 32
    cache_s: float = 1.0
    busy_timeout_s: float = 15.0
    allow_user_code: bool = False
    function_timeout_s: float = 86_400.0
    function_grace_s: float = 10.0
    function_memory_bytes: int | None = 8 * 1024 * _MEBIBYTE
    function_file_bytes: int | None = 16 * 1024 * _MEBIBYTE
    sandbox_required: bool = True
    sandbox_processes: int = 4
    sandbox_idle_s: float = 60.0
    sandbox_timeout_s: float = 10.0
    sandbox_build_timeout_s: float = 120.0
    sandbox_cpu_s: float = 10.0
    sandbox_memory_bytes: int = 4 * 1024 * _MEBIBYTE
    max_key_days: float | None = None
    key_used_s: float = 300.0
    wrong_keys_per_minute: int = 60
    artifact_url: str | None = None
    otlp_endpoint: str | None = None
    trace_share: float = 1.0
    keep_events_days: float | None = None
    keep_results_days: float | None = None
    keep_files_days: float | None = None
    keep_deleted_days: float | None = None
    keep_deliveries_days: float | None = None
    keep_logs_days: float | None = None
    keep_request_logs_days: float | None = None
    provider_slots: int | None = None
    provider_patience_s: float = 10.0
    webhook_networks: str | None = None
    webhook_timeout_s: float = 15.0
    webhook_first_s: float = 5.0
    webhook_longest_s: float = 7_200.0
    webhook_retry_s: float = 86_400.0
    webhook_disable_s: float = 432_000.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", Path(self.data_dir).expanduser().absolute())
        for item in fields(self):
            if str(item.type).startswith(("int", "float")):
                _check_number(item.name, getattr(self, item.name), str(item.type))
        for name in ("allow_user_code", "sandbox_required"):
            if not isinstance(getattr(self, name), bool):
                raise RequestError(f"{name} must be true or false, got {getattr(self, name)!r}.", field=name)
        read_networks(self.webhook_networks)
        if self.worker_second_usd and self.job_seconds is None:
            raise RequestError(
                "worker_second_usd needs job_seconds: money is set aside for the longest time that a job may take. Set "
                "job_seconds=3600, say.",
                field="job_seconds",
            )
        if self.heartbeat_period_s >= self.lease_s:
            raise RequestError(
                f"heartbeat_s must be less than lease_s={self.lease_s:g}, got {self.heartbeat_s!r}; a third is usual.",
                field="heartbeat_s",
            )

    @property
    def heartbeat_period_s(self) -> float:
        """Time between two heartbeats of a worker, in seconds."""
        return self.lease_s / 3 if self.heartbeat_s is None else self.heartbeat_s

    @property
    def worker_threads(self) -> int:
        """Most CPU threads of one worker."""
        return min(self.threads_per_worker or self.cpu_total, self.cpu_total)

    @property
    def cpu_total(self) -> int:
        """CPU threads of all workers together."""
        if self.cpu_threads is not None:
            return self.cpu_threads
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    @property
    def job_rules(self) -> JobRules:
        """What the job store grants to a job."""
        backoff = Backoff(self.retry_first_s, self.retry_longest_s)
        return JobRules(
            lease_s=self.lease_s, max_attempts=self.max_attempts, max_retries=self.max_retries, backoff=backoff
        )

    @property
    def webhook_rules(self) -> WebhookRules:
        """How webhooks are sent."""
        return WebhookRules(
            networks=read_networks(self.webhook_networks),
            timeout_s=self.webhook_timeout_s,
            backoff=Backoff(self.webhook_first_s, self.webhook_longest_s),
            retry_s=self.webhook_retry_s,
            disable_s=self.webhook_disable_s,
        )

    def to_json(self) -> dict[str, object]:
        """The settings as JSON values, such as a supervisor hands to its workers."""
        return {
            item.name: str(value) if isinstance(value := getattr(self, item.name), Path) else value
            for item in fields(self)
        }

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> ServiceConfig:
        """The settings that ``to_json`` wrote.

        Raises:
            RequestError: an unknown setting, or a value out of its range.
        """
        unknown = sorted(set(document) - {item.name for item in fields(cls)})
        if unknown or not isinstance(document.get("data_dir"), str):
            raise RequestError(f"Service settings need data_dir and none of {unknown}.", unknown=unknown)
        values = {**document, "data_dir": Path(str(document["data_dir"]))}
        if document.get("cpu_dir") is not None:
            values["cpu_dir"] = Path(str(document["cpu_dir"]))
        return cls(**values)  # type: ignore[arg-type]  # checked field by field in __post_init__


def _check_number(name: str, value: object, kind: str) -> None:
    """Hold a setting against its annotation: a positive number, whole for ``int``; None or zero where allowed."""
    if value is None and kind.endswith("None"):
        return
    kinds = int if kind.startswith("int") else int | float
    numeric = isinstance(value, kinds) and not isinstance(value, bool) and is_finite(value)
    if not numeric or not isinstance(value, int | float) or value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
        what = "whole number" if kind.startswith("int") else "number"
        least = "0 or more" if name in _MAY_BE_ZERO else "above 0"
        raise RequestError(f"{name} must be a {what} {least}, got {shown(value)}.", field=name, got=shown(value))
