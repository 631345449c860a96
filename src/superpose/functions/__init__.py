"""A user's own functions as durable jobs: `@superpose.job`, and the context that such a function receives."""

from __future__ import annotations

from superpose.functions.context import JobContext, LocalContext
from superpose.functions.decorator import JobFunction, Submitted, job
from superpose.functions.options import JobOptions
from superpose.functions.source import MAX_SOURCE_BYTES, FunctionSource, read_function

__all__ = [
    "MAX_SOURCE_BYTES",
    "FunctionSource",
    "JobContext",
    "JobFunction",
    "JobOptions",
    "LocalContext",
    "Submitted",
    "job",
    "read_function",
]
