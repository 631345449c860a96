"""The nouns: a quantum function, its versions, and the answer to a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from superpose.service.nouns import iso

__all__ = ["CallAnswer", "FunctionVersion", "QuantumFunction"]


@dataclass(frozen=True)
class FunctionVersion:
    """One version of a quantum function; ``artifact`` is the SHA-256 of its stored form.

    ``summary`` holds file_name, toolkit, n_qubits, n_instructions, parameters, observables, shots, pre, post, backend
    and input_schema.
    """

    function_id: str = field(repr=False)
    number: int
    artifact: str
    summary: Mapping[str, object] = field(repr=False)
    created_at: datetime
    created_by: str

    def to_json(self) -> dict[str, object]:
        """The version as the API sends it."""
        return {
            "version": self.number,
            "digest": self.artifact,
            **self.summary,
            "created_at": iso(self.created_at),
            "created_by": self.created_by,
        }


@dataclass(frozen=True)
class QuantumFunction:
    """A name, and the version that answers under it; ``n_versions`` were deployed in all."""

    id: str
    project: str
    name: str
    version: int
    n_versions: int
    created_at: datetime
    changed_at: datetime
    current: FunctionVersion = field(repr=False)

    def to_json(self) -> dict[str, object]:
        """The function as the API sends it: with what its current version holds."""
        return {
            "id": self.id,
            "name": self.name,
            **self.current.to_json(),
            "n_versions": self.n_versions,
            "created_at": iso(self.created_at),
            "changed_at": iso(self.changed_at),
            "url": f"/v1/functions/{self.name}/call",
        }


@dataclass(frozen=True)
class CallAnswer:
    """What came of a call.

    Attributes:
        function, version: what answered.
        status: that of a job; "succeeded" for a call that was answered at once.
        output: what ``post`` gave, or the result; None until there is one.
        job_id: the job that runs the call, where one does.
        error: code and message, where the job failed.
        logs: what the function's own Python printed.
        cold: whether the function had to be loaded, or its Python to be started, for this call.
        elapsed_ms: time within the service; None of a job.
        provenance: how the circuit was run.
    """

    function: str
    version: int
    status: str
    output: object = None
    job_id: str | None = None
    error: Mapping[str, object] | None = None
    logs: str = ""
    cold: bool = False
    elapsed_ms: float | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)

    def to_json(self, *, logs: bool) -> dict[str, object]:
        """The answer as the API sends it; what was printed is for the function's people, not for everyone who calls."""
        return {
            "function": self.function,
            "version": self.version,
            "status": self.status,
            "output": self.output,
            "job_id": self.job_id,
            "error": None if self.error is None else dict(self.error),
            **({"logs": self.logs} if logs else {}),
            "cold": self.cold,
            "elapsed_ms": self.elapsed_ms,
            "provenance": dict(self.provenance),
        }
