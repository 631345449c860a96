"""The service: store, queue, workers, models, endpoints, keys. ``Service`` is for users, ``Worker`` for machines."""

from __future__ import annotations

from superpose.service.batching import BatchStats
from superpose.service.config import ServiceConfig
from superpose.service.nouns import (
    Dataset,
    Endpoint,
    Event,
    Job,
    JobKind,
    Key,
    Model,
    ModelVersion,
    Page,
    Prediction,
    Principal,
    Role,
    iso,
)
from superpose.service.pages import MAX_LIMIT, Part
from superpose.service.service import Service
from superpose.service.statuses import FINAL, TRANSITIONS, JobStatus

__all__ = [
    "FINAL",
    "MAX_LIMIT",
    "TRANSITIONS",
    "BatchStats",
    "Dataset",
    "Endpoint",
    "Event",
    "Job",
    "JobKind",
    "JobStatus",
    "Key",
    "Model",
    "ModelVersion",
    "Page",
    "Part",
    "Prediction",
    "Principal",
    "Role",
    "Service",
    "ServiceConfig",
    "iso",
]
