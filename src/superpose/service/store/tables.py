"""The newest schema as SQLAlchemy tables, for queries. What builds it stands in ``migrations.py``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Dialect, Float, Integer, MetaData, Table, Text, TypeDecorator

__all__ = [
    "EPOCH",
    "UtcTime",
    "attempts",
    "audit",
    "audit_head",
    "budgets",
    "charges",
    "data_sheets",
    "datasets",
    "endpoint_alarms",
    "endpoint_canaries",
    "endpoint_limits",
    "endpoint_revisions",
    "endpoints",
    "events",
    "file_jobs",
    "function_logs",
    "gate_overrides",
    "job_artifacts",
    "job_metrics",
    "jobs",
    "keys",
    "members",
    "metadata",
    "model_aliases",
    "model_versions",
    "models",
    "modules",
    "open_dependencies",
    "projects",
    "provider_loops",
    "provider_runs",
    "provider_waits",
    "quantum_function_versions",
    "quantum_functions",
    "quotas",
    "residency",
    "steady_clocks",
    "sweeps",
    "users",
    "webhook_attempts",
    "webhook_deliveries",
    "webhooks",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored as whole microseconds since 1970 UTC, so that SQL compares exactly."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Aware time to microseconds."""
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Microseconds to aware time."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


metadata = MetaData()

_JSON = JSON(none_as_null=True)

projects = Table(
    "projects",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", UtcTime),
    Column("title", Text),
    Column("archived_at", UtcTime),
    Column("account_id", Text),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("email", Text),
    Column("kind", Text),
    Column("created_at", UtcTime),
    Column("created_by", Text),
    Column("disabled_at", UtcTime),
)

members = Table(
    "members",
    metadata,
    Column("project", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("role", Text),
    Column("created_at", UtcTime),
)

quotas = Table(
    "quotas",
    metadata,
    Column("project", Text, primary_key=True),
    Column("quantity", Text, primary_key=True),
    Column("allowed", Integer),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text),
    Column("role", Text),
    Column("label", Text),
    Column("digest", Text),
    Column("created_at", UtcTime),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("user_id", Text),
    Column("operator", Boolean),
    Column("scopes", _JSON),
    Column("last_used_at", UtcTime),
    Column("previous_digest", Text),
    Column("previous_until", UtcTime),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text),
    Column("name", Text),
    Column("format", Text),
    Column("target", Text),
    Column("n_rows", Integer),
    Column("n_features", Integer),
    Column("classes", _JSON),
    Column("columns", _JSON),
    Column("digest", Text),
    Column("artifact", Text),
    Column("created_at", UtcTime),
    Column("deleted_at", UtcTime),
    Column("domain", Text),
)

data_sheets = Table("data_sheets", metadata, Column("dataset_id", Text, primary_key=True), Column("sheet", _JSON))

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Text),
    Column("project", Text),
    Column("kind", Text),
    Column("status", Text),
    Column("priority", Integer),
    Column("payload", _JSON),
    Column("dataset_id", Text),
    Column("dataset", Text),
    Column("model", Text),
    Column("model_version", Integer),
    Column("attempt", Integer),
    Column("crashes", Integer),
    Column("worker_id", Text),
    Column("lease_expires_at", UtcTime),
    Column("idempotency_key", Text),
    Column("request_digest", Text),
    Column("created_by", Text),
    Column("created_at", UtcTime),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("progress", _JSON),
    Column("error", _JSON),
    Column("result", _JSON),
    Column("retries", Integer),
    Column("not_before_at", UtcTime),
    Column("after", _JSON),
    Column("parent_id", Text),
    Column("traceparent", Text),
    Column("provider_job_id", Text),
    Column("estimate", _JSON),
    Column("remarks", _JSON),
)

open_dependencies = Table(
    "open_dependencies",
    metadata,
    Column("after_id", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
)

steady_clocks = Table(
    "steady_clocks", metadata, Column("machine_boot", Text, primary_key=True), Column("offset_us", Integer)
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("worker_id", Text),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("outcome", Text),
)

events = Table(
    "events",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("project", Text),
    Column("at", UtcTime),
    Column("kind", Text),
    Column("actor", Text),
    Column("data", _JSON),
)

models = Table(
    "models",
    metadata,
    Column("project", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("created_at", UtcTime),
    Column("note", Text),
    Column("tags", _JSON),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("project", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", Text),
    Column("artifact", Text),
    Column("job_id", Text),
    Column("created_at", UtcTime),
    Column("metrics", _JSON),
    Column("evaluation", _JSON),
    Column("manifest", _JSON),
    Column("note", Text),
    Column("tags", _JSON),
    Column("deleted_at", UtcTime),
    Column("evidence", _JSON),
    Column("statements", _JSON),
    Column("validations", _JSON),
)

model_aliases = Table(
    "model_aliases",
    metadata,
    Column("project", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("version", Integer),
    Column("moved_at", UtcTime),
    Column("moved_by", Text),
)

job_metrics = Table(
    "job_metrics",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("job_id", Text),
    Column("name", Text),
    Column("step", Integer),
    Column("value", Float),
    Column("attempt", Integer),
    Column("at", UtcTime),
)

job_artifacts = Table(
    "job_artifacts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("job_id", Text),
    Column("project", Text),
    Column("role", Text),
    Column("name", Text),
    Column("artifact", Text),
    Column("n_bytes", Integer),
    Column("attempt", Integer),
    Column("created_at", UtcTime),
    Column("deleted_at", UtcTime),
)

modules = Table(
    "modules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text),
    Column("name", Text),
    Column("artifact", Text),
    Column("summary", _JSON),
    Column("created_at", UtcTime),
    Column("deleted_at", UtcTime),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text),
    Column("name", Text),
    Column("model", Text),
    Column("version", Integer),
    Column("created_at", UtcTime),
    Column("alias", Text),
    Column("stage", Text),
)

gate_overrides = Table(
    "gate_overrides",
    metadata,
    Column("endpoint_id", Text, primary_key=True),
    Column("project", Text),
    Column("endpoint", Text),
    Column("model", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("missing", _JSON),
    Column("reason", Text),
    Column("overridden_at", UtcTime),
    Column("overridden_by", Text),
)

endpoint_revisions = Table(
    "endpoint_revisions",
    metadata,
    Column("endpoint_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("model", Text),
    Column("version", Integer),
    Column("alias", Text),
    Column("origin", Integer),
    Column("created_at", UtcTime),
    Column("created_by", Text),
)

endpoint_canaries = Table(
    "endpoint_canaries",
    metadata,
    Column("endpoint_id", Text, primary_key=True),
    Column("project", Text),
    Column("model", Text),
    Column("version", Integer),
    Column("percent", Float),
    Column("split_by", Text),
    Column("seed", Integer),
    Column("started_at", UtcTime),
)

endpoint_limits = Table(
    "endpoint_limits",
    metadata,
    Column("endpoint_id", Text, primary_key=True),
    Column("max_batch_rows", Integer),
    Column("max_delay_ms", Float),
    Column("max_queue_rows", Integer),
    Column("max_concurrency", Integer),
)

endpoint_alarms = Table(
    "endpoint_alarms",
    metadata,
    Column("id", Text, primary_key=True),
    Column("endpoint_id", Text),
    Column("kind", Text),
    Column("model", Text),
    Column("version", Integer),
    Column("message", Text),
    Column("facts", _JSON),
    Column("raised_at", UtcTime),
    Column("cleared_at", UtcTime),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", UtcTime),
    Column("project", Text),
    Column("actor", Text),
    Column("user_id", Text),
    Column("action", Text),
    Column("subject", Text),
    Column("data", _JSON),
    Column("request_id", Text),
    Column("source", Text),
    Column("previous", Text),
    Column("digest", Text),
    Column("signature", Text),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("one", Integer, primary_key=True),
    Column("seq", Integer),
    Column("digest", Text),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("project", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("job_id", Text),
    Column("created_at", UtcTime),
)

quantum_functions = Table(
    "quantum_functions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text),
    Column("name", Text),
    Column("version", Integer),
    Column("created_at", UtcTime),
    Column("changed_at", UtcTime),
    Column("deleted_at", UtcTime),
)

quantum_function_versions = Table(
    "quantum_function_versions",
    metadata,
    Column("function_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("project", Text),
    Column("artifact", Text),
    Column("summary", _JSON),
    Column("created_at", UtcTime),
    Column("created_by", Text),
    Column("deleted_at", UtcTime),
)

file_jobs = Table(
    "file_jobs",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("project", Text),
    Column("input_artifact", Text),
    Column("output_artifact", Text),
    Column("deleted_at", UtcTime),
)

budgets = Table(
    "budgets",
    metadata,
    Column("project", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("limit_micros", Integer),
)

charges = Table(
    "charges",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("number", Integer),
    Column("project", Text),
    Column("user_id", Text),
    Column("backend", Text),
    Column("provider_micros", Integer),
    Column("worker_micros", Integer),
    Column("max_seconds", Float),
    Column("reserved_at", UtcTime),
    Column("seconds", Float),
    Column("settled_micros", Integer),
    Column("settled_at", UtcTime),
)

residency = Table(
    "residency",
    metadata,
    Column("project", Text, primary_key=True),
    Column("rules", _JSON),
    Column("set_at", UtcTime),
    Column("set_by", Text),
)

provider_runs = Table(
    "provider_runs",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("token", Text, primary_key=True),
    Column("backend", Text),
    Column("provider_job_id", Text),
    Column("n_tries", Integer),
    Column("submitted_at", UtcTime),
    Column("started_at", UtcTime),
)

provider_loops = Table(
    "provider_loops",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("backend", Text),
    Column("session_id", Text),
    Column("refused", Integer),
)

provider_waits = Table(
    "provider_waits",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("project", Text),
    Column("backend", Text),
    Column("at", UtcTime),
    Column("wait_s", Float),
)

function_logs = Table(
    "function_logs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("function_id", Text),
    Column("at", UtcTime),
    Column("version", Integer),
    Column("logs", Text),
    Column("error", _JSON),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Text),
    Column("project", Text),
    Column("url", Text),
    Column("label", Text),
    Column("events", _JSON),
    Column("kinds", _JSON),
    Column("created_at", UtcTime),
    Column("created_by", Text),
    Column("generation", Integer),
    Column("secret_digest", Text),
    Column("previous_generation", Integer),
    Column("previous_until", UtcTime),
    Column("failing_since", UtcTime),
    Column("disabled_at", UtcTime),
    Column("disabled_why", Text),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("message_id", Text),
    Column("webhook_id", Text),
    Column("type", Text),
    Column("job_id", Text),
    Column("body", Text),
    Column("status", Text),
    Column("created_at", UtcTime),
    Column("next_at", UtcTime),
    Column("n_attempts", Integer),
    Column("ended_at", UtcTime),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("delivery", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("at", UtcTime),
    Column("seconds", Float),
    Column("http_status", Integer),
    Column("error", Text),
)
