"""The Python client: speaks the REST interface only, over a transport that can speak post-quantum TLS."""

from __future__ import annotations

from superpose.client.budgets import Budget, Cost
from superpose.client.client import Client
from superpose.client.discovery import RunningService, default_data_dir, running_service
from superpose.client.endpoint_nouns import Alarm, Canary, Endpoint, Revision, SideStats
from superpose.client.explanations import ExplainedRow, Explanation, RowCounterfactual, RowPicture, RowShotNoise
from superpose.client.functions import CallAnswer, FunctionLog, FunctionVersion, QuantumFunction
from superpose.client.job_outputs import JobArtifact, MetricPoint
from superpose.client.lineage import Lineage
from superpose.client.modules import Module
from superpose.client.nouns import (
    FINAL_STATUSES,
    Column,
    Dataset,
    Event,
    Job,
    Listing,
    Model,
    ModelVersion,
    Prediction,
)
from superpose.client.people_nouns import AuditEntry, Key, Member, NewKey, Project, Residency, Usage, User, Verification
from superpose.client.predictions import BatchPrediction
from superpose.client.program_sets import SubmittedSet
from superpose.client.promotion import GateReport, Override, Requirement
from superpose.client.rows import rows_to_json
from superpose.client.solutions import Solution
from superpose.client.sse import ServerSentEvent, parse_events
from superpose.client.sweeps import Sweep, Trial
from superpose.client.waits import BackendWaits, SeenWait
from superpose.client.webhooks import Delivery, NewWebhook, Try, Webhook, verify_webhook

__all__ = [
    "FINAL_STATUSES",
    "Alarm",
    "AuditEntry",
    "BackendWaits",
    "BatchPrediction",
    "Budget",
    "CallAnswer",
    "Canary",
    "Client",
    "Column",
    "Cost",
    "Dataset",
    "Delivery",
    "Endpoint",
    "Event",
    "ExplainedRow",
    "Explanation",
    "FunctionLog",
    "FunctionVersion",
    "GateReport",
    "Job",
    "JobArtifact",
    "Key",
    "Lineage",
    "Listing",
    "Member",
    "MetricPoint",
    "Model",
    "ModelVersion",
    "Module",
    "NewKey",
    "NewWebhook",
    "Override",
    "Prediction",
    "Project",
    "QuantumFunction",
    "Requirement",
    "Residency",
    "Revision",
    "RowCounterfactual",
    "RowPicture",
    "RowShotNoise",
    "RunningService",
    "SeenWait",
    "ServerSentEvent",
    "SideStats",
    "Solution",
    "SubmittedSet",
    "Sweep",
    "Trial",
    "Try",
    "Usage",
    "User",
    "Verification",
    "Webhook",
    "default_data_dir",
    "parse_events",
    "rows_to_json",
    "running_service",
    "verify_webhook",
]
