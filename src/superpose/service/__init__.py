"""The service: store, queue, workers, models, endpoints, keys. ``Service`` is for users, ``Worker`` for machines."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from superpose.service.budgets.budgets import Budget, Cost, CostFilter
from superpose.service.catalogue.ingest import Incoming
from superpose.service.catalogue.module import Module
from superpose.service.catalogue.reports import MadeReport
from superpose.service.catalogue.sheets import SheetEdit
from superpose.service.config import ServiceConfig
from superpose.service.names import check_name
from superpose.service.nouns import (
    Dataset,
    Event,
    Job,
    JobKind,
    Model,
    ModelVersion,
    Page,
    Prediction,
    Principal,
    Role,
    iso,
)
from superpose.service.people.audit import AuditFilter, read_head
from superpose.service.people.key import Key
from superpose.service.people.project import Project
from superpose.service.people.quotas import Usage
from superpose.service.people.scopes import check_scope
from superpose.service.people.user import Member, User
from superpose.service.predictions.predictions import Asked
from superpose.service.program_sets.program_sets import AskedSet
from superpose.service.quantum_functions.admission import Asked as FunctionAsked
from superpose.service.quantum_functions.function import CallAnswer, FunctionVersion, QuantumFunction
from superpose.service.quantum_functions.steps import CallRequest
from superpose.service.service import Service
from superpose.service.serving.batching import BatchStats
from superpose.service.serving.deployment import Canary, Endpoint, Limits, Override, Release, Revision, SplitBy, Stage
from superpose.service.serving.traffic import SideStats
from superpose.service.solutions.solutions import AskedSolution
from superpose.service.statuses import FINAL, TRANSITIONS, JobStatus
from superpose.service.store.artifacts import StoredFile
from superpose.service.store.audit_log import AuditEntry, Verification, verify_entries
from superpose.service.store.origin import Origin, coming_from
from superpose.service.store.pages import MAX_LIMIT, Part
from superpose.service.work.file_jobs import FileJob, FileJobs

__all__ = [
    "FINAL",
    "MAX_LIMIT",
    "TRANSITIONS",
    "Asked",
    "AskedSet",
    "AskedSolution",
    "AuditEntry",
    "AuditFilter",
    "BatchStats",
    "Budget",
    "CallAnswer",
    "CallRequest",
    "Canary",
    "Cost",
    "CostFilter",
    "Dataset",
    "Endpoint",
    "Event",
    "FileJob",
    "FileJobs",
    "FunctionAsked",
    "FunctionVersion",
    "Incoming",
    "Job",
    "JobKind",
    "JobStatus",
    "Key",
    "Limits",
    "MadeReport",
    "Member",
    "Model",
    "ModelVersion",
    "Module",
    "Origin",
    "Override",
    "Page",
    "Part",
    "Prediction",
    "Principal",
    "Project",
    "QuantumFunction",
    "Release",
    "Revision",
    "Role",
    "Service",
    "ServiceConfig",
    "SheetEdit",
    "SideStats",
    "SplitBy",
    "Stage",
    "StoredFile",
    "Supervisor",
    "Usage",
    "User",
    "Verification",
    "Worker",
    "check_name",
    "check_scope",
    "coming_from",
    "iso",
    "read_head",
    "run_worker",
    "verify_entries",
]

_HOME_OF = {
    "Supervisor": "superpose.service.work.supervisor",
    "Worker": "superpose.service.work.worker",
    "run_worker": "superpose.service.work.process",
}

if TYPE_CHECKING:
    from superpose.service.work.process import run_worker as run_worker
    from superpose.service.work.supervisor import Supervisor as Supervisor
    from superpose.service.work.worker import Worker as Worker


def __getattr__(name: str) -> Any:
    """Load what only some processes need."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'superpose.service' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
