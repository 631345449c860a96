"""Quantum functions over the REST interface: deploy, call, roll back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from superpose.client.json_fields import Fields
from superpose.client.nouns import FINAL_STATUSES, Listing, Noun
from superpose.client.problems import job_failed
from superpose.client.resources import Resource, items, json_call, read_json, segment
from superpose.client.transport import Call
from superpose.errors import FunctionFileError, WaitTimeoutError

__all__ = ["CallAnswer", "FunctionLog", "FunctionVersion", "Functions", "QuantumFunction"]

_WAIT_S = 10.0


@dataclass(frozen=True)
class FunctionVersion(Noun):
    """One version of a quantum function: what its circuit is, what it measures, and which Python it has.

    ``observables`` are sums ``{Pauli text: coefficient}``; none stands for counts. ``shots`` is None where
    expectations are exact. ``pre`` and ``post`` say whether the file has these functions.
    """

    version: int
    digest: str
    file_name: str
    toolkit: str
    n_qubits: int
    n_instructions: int
    parameters: tuple[str, ...]
    observables: tuple[Mapping[str, float], ...]
    shots: int | None
    pre: bool
    post: bool
    backend: str
    input_schema: Mapping[str, Any]
    created_at: datetime

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A version from the service's JSON."""
        return cls(**_version_fields(Fields.of("function version", document)))


@dataclass(frozen=True)
class QuantumFunction(FunctionVersion):
    """A quantum function: its name, and the version that answers."""

    id: str = ""
    name: str = ""
    n_versions: int = 1
    url: str = ""

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A function from the service's JSON."""
        f = Fields.of("function", document)
        return cls(
            **_version_fields(f),
            id=f.text("id"),
            name=f.text("name"),
            n_versions=f.whole("n_versions"),
            url=f.text("url"),
        )


@dataclass(frozen=True)
class CallAnswer(Noun):
    """What came of a call: ``output`` once ``status`` is "succeeded".

    ``job_id`` names the job that runs the call, None where it was answered at once. ``logs`` is what the function's own
    Python printed, empty for keys that may only call. ``cold`` says whether something had to be loaded or started.
    """

    function: str
    version: int
    status: str
    output: Any
    job_id: str | None = None
    error: Mapping[str, Any] = field(default_factory=dict)
    logs: str = ""
    cold: bool = False
    elapsed_ms: float | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing changes any more."""
        return self.status in FINAL_STATUSES

    @classmethod
    def from_json(cls, document: object) -> Self:
        """An answer from the service's JSON."""
        f = Fields.of("call", document)
        elapsed_ms = f.members.get("elapsed_ms")
        return cls(
            function=f.text("function"),
            version=f.whole("version"),
            status=f.text("status"),
            output=f.members.get("output"),
            job_id=f.maybe_text("job_id"),
            error=f.object("error"),
            logs=f.maybe_text("logs") or "",
            cold=f.members.get("cold") is True,
            elapsed_ms=None if elapsed_ms is None else f.number("elapsed_ms"),
            provenance=f.object("provenance"),
        )


@dataclass(frozen=True)
class FunctionLog(Noun):
    """What a function's own Python printed in one call, and its error, if one was raised."""

    at: datetime
    version: int
    logs: str
    error: Mapping[str, Any]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A log from the service's JSON."""
        f = Fields.of("log", document)
        return cls(f.time("at"), f.whole("version"), f.text("logs"), f.object("error"))


class Functions(Resource):
    """Quantum functions of the key's project."""

    def deploy(  # a file and what it may leave unsaid
        self,
        path: str | Path,
        name: str | None = None,
        *,
        shots: int | None = None,
        observables: Sequence[str | Mapping[str, float]] | None = None,
        backend: str | None = None,
        timeout_s: float = 180.0,
    ) -> QuantumFunction:
        """Make a function of a file, or a new version of the function of this name, which answers from now on.

        Args:
            path: a ``.qasm``, ``.json``, ``.quil``, ``.qs`` or ``.py`` file; its text is sent.
            name: of the function; by default the file's.
            shots: measurements for each set of parameters; 0 for exact expectations; by default what the file says.
            observables: Pauli texts such as "ZZ", or sums ``{text: coefficient}``; by default what the file says.
            backend: where the circuit runs; by default the service's own engine.
            timeout_s: how long making the circuit may take.

        Raises:
            FunctionFileError: the file cannot be read here.
            ApiError: the service refuses it, such as ``quantum_function.file`` with the line.
        """
        file = Path(path)
        try:
            source = file.read_text(encoding="utf-8")
        except OSError as error:
            raise FunctionFileError(f"{file} cannot be read: {error.strerror or error}.") from None
        except ValueError:
            raise FunctionFileError(f"{file} is not text in UTF-8.") from None
        document = {
            "name": file.stem if name is None else name,
            "file_name": file.name,
            "source": source,
            "shots": shots,
            "observables": None if observables is None else list(observables),
            "backend": backend,
        }
        call = json_call("POST", "/v1/functions", document, timeout_s=timeout_s)
        return QuantumFunction.from_json(read_json(self._transport.send(call)))

    def list(self) -> Listing[QuantumFunction]:
        """All functions."""
        return items(self._transport, "/v1/functions", QuantumFunction.from_json, {}, None)

    def get(self, name: str) -> QuantumFunction:
        """One function."""
        return QuantumFunction.from_json(self._get(_path(name)))

    def versions(self, name: str) -> Listing[FunctionVersion]:
        """A function's versions, newest first."""
        return items(self._transport, f"{_path(name)}/versions", FunctionVersion.from_json, {}, None)

    def source(self, name: str, version: int | None = None) -> str:
        """The text of the file of which a version was made, by default of the one that answers."""
        query = {} if version is None else {"version": version}
        reply = self._transport.send(Call("GET", f"{_path(name)}/source", query=query))
        return Fields.of("source", read_json(reply)).text("source")

    def logs(self, name: str) -> Listing[FunctionLog]:
        """What the function's own Python printed and raised in the last calls at the server, newest first."""
        found = Fields.of("logs", self._get(f"{_path(name)}/logs")).array("items")
        return Listing(FunctionLog.from_json(item) for item in found)

    def rollback(self, name: str, version: int | None = None) -> QuantumFunction:
        """Let an older version answer again, by default the one before the present one."""
        document = {} if version is None else {"version": version}
        return QuantumFunction.from_json(self._post(f"{_path(name)}/rollback", document))

    def delete(self, name: str) -> None:
        """Delete a function with all its versions."""
        self._delete(_path(name))

    def call(  # an input and how to run it
        self,
        name: str,
        input: Any = None,
        *,
        version: int | None = None,
        shots: int | None = None,
        seed: int | None = None,
        timeout_s: float | None = None,
    ) -> CallAnswer:
        """Call a function and wait for its output, however long it takes.

        Args:
            name: the function.
            input: any JSON that its ``input_schema`` takes; of a function without Python, its parameters by name.
            version: by default the one that answers.
            shots, seed: instead of the function's.
            timeout_s: how long to wait; None for no end.

        Raises:
            ApiError: no such function, an input that does not fit, or an error in the function's own code.
            JobFailedError: the call ran as a job, which failed after the first 10 s.
            WaitTimeoutError: ``timeout_s`` has passed; the job goes on.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        wait_s = _WAIT_S if timeout_s is None else min(_WAIT_S, max(timeout_s, 0.001))
        answer = self._call(name, {"input": input, "shots": shots, "seed": seed}, version, wait_s)
        pause_s = 0.05
        while not answer.finished:
            if until_s is not None and time.monotonic() >= until_s:
                raise WaitTimeoutError(
                    f"Call {answer.job_id} of {name} has not finished within {timeout_s:g} s; it goes on.",
                    job_id=str(answer.job_id),
                )
            time.sleep(pause_s)
            pause_s = min(1.0, pause_s * 1.5)
            answer = self.get_call(name, str(answer.job_id))
        if answer.status != "succeeded":
            raise job_failed(f"Call {answer.job_id} of {name}", str(answer.job_id), answer.status, answer.error)
        return answer

    def submit(
        self,
        name: str,
        input: Any = None,
        *,
        version: int | None = None,
        shots: int | None = None,
        seed: int | None = None,
    ) -> CallAnswer:
        """Have a durable job call a function, and do not wait; ``get_call`` tells how far it is."""
        return self._call(name, {"input": input, "shots": shots, "seed": seed}, version, 0.0)

    def get_call(self, name: str, job_id: str) -> CallAnswer:
        """How far the job of a call is, with its output once there is one."""
        return CallAnswer.from_json(self._get(f"{_path(name)}/calls/{segment(job_id)}"))

    def _call(self, name: str, document: Mapping[str, Any], version: int | None, wait_s: float) -> CallAnswer:
        call = json_call(
            "POST",
            f"{_path(name)}/call",
            document,
            query={"wait_s": wait_s, **({} if version is None else {"version": version})},
            headers={} if wait_s else {"Idempotency-Key": str(uuid.uuid4())},
            repeatable=not wait_s,
            timeout_s=wait_s + self._transport.timeout_s,
        )
        return CallAnswer.from_json(read_json(self._transport.send(call)))


def _version_fields(f: Fields) -> dict[str, Any]:
    return {
        "version": f.whole("version"),
        "digest": f.text("digest"),
        "file_name": f.text("file_name"),
        "toolkit": f.text("toolkit"),
        "n_qubits": f.whole("n_qubits"),
        "n_instructions": f.whole("n_instructions"),
        "parameters": tuple(map(str, f.array("parameters"))),
        "observables": tuple(dict(item) for item in f.array("observables")),
        "shots": f.maybe_whole("shots"),
        "pre": f.members.get("pre") is True,
        "post": f.members.get("post") is True,
        "backend": f.text("backend"),
        "input_schema": f.object("input_schema"),
        "created_at": f.time("created_at"),
    }


def _path(name: str) -> str:
    return f"/v1/functions/{segment(name)}"
