"""IonQ's API v0.4 on loopback, as its OpenAPI document of September 2, 2026 describes it; circuits are really run.

What it takes is checked against the document's constraints, stated here in JSON Schema; what it answers has the
document's fields. Faults are put in one request at a time.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
import numpy as np
from tests.backends.clouds.loopback import FakeService, Handler, listening

from superpose.backends import LocalBackend
from superpose.circuits import Circuit, NoiseModel, Program
from superpose.circuits.reference import state_vector

KEY = "the-key-of-the-test"

GATE = {
    "type": "object",
    "required": ["gate"],
    "additionalProperties": False,
    "properties": {
        "gate": {
            "enum": [
                *"xyzhstv",
                "rx",
                "ry",
                "rz",
                "si",
                "vi",
                "ti",
                "not",
                "cnot",
                "swap",
                "xx",
                "yy",
                "zz",
                "pauliexp",
            ],
        },
        "target": {"type": "integer"},
        "targets": {"type": "array", "items": {"type": "number"}},
        "control": {"type": "integer"},
        "controls": {"type": "array", "items": {"type": "number"}},
        "rotation": {"type": "number"},
    },
}
PAYLOAD = jsonschema_rs.validator_for(
    {
        "type": "object",
        "required": ["backend", "type", "input"],
        "additionalProperties": False,
        "properties": {
            "type": {"enum": ["ionq.multi-circuit.v1"]},
            "name": {"type": "string", "pattern": "^[a-zA-Z0-9 _-]*$"},
            "backend": {"type": "string"},
            "shots": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
            "metadata": {
                "type": "object",
                "maxProperties": 10,
                "propertyNames": {"maxLength": 40},
                "additionalProperties": {"type": "string", "maxLength": 40_000},
            },
            "noise": {
                "type": "object",
                "required": ["model"],
                "additionalProperties": False,
                "properties": {
                    "model": {"type": "string"},
                    "seed": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
                },
            },
            "settings": {
                "type": "object",
                "properties": {
                    "error_mitigation": {"type": "object", "properties": {"debiasing": {"type": "boolean"}}},
                },
            },
            "input": {
                "type": "object",
                "required": ["gateset", "circuits"],
                "properties": {
                    "gateset": {"enum": ["qis"]},
                    "qubits": {"type": "integer", "minimum": 1},
                    "circuits": {
                        "type": "array",
                        "maxItems": 5000,
                        "items": {
                            "type": "object",
                            "required": ["circuit"],
                            "additionalProperties": False,
                            "properties": {
                                "name": {"type": "string"},
                                "qubits": {"type": "integer"},
                                "gateset": {"enum": ["qis"]},
                                "circuit": {"type": "array", "items": GATE},
                            },
                        },
                    },
                },
            },
        },
    }
)

NOISE = NoiseModel(two_qubit=[("depolarizing2", (0.05,))], readout=(0.02, 0.02))
OURS = {"si": "sdg", "ti": "tdg", "v": "sx", "vi": "sxdg", "not": "x", "cnot": "cx"}
BACKENDS: list[dict[str, Any]] = [
    {"backend": "simulator", "status": "available", "qubits": 29},
    {"backend": "qpu.forte-1", "status": "available", "qubits": 36, "characterization_id": str(uuid.uuid4())},
    {"backend": "qpu.aria-1", "status": "retired", "qubits": 25},
    {"backend": "qpu.forte-enterprise-1", "status": "unavailable", "qubits": 36},
]
CHARACTERIZATION = {
    "id": str(uuid.uuid4()),
    "backend": "qpu.forte-1",
    "date": "2026-06-16T00:00:00Z",
    "qubits": 36,
    "connectivity": [[0, 1], [0, 2], [1, 2]],
    "fidelity": {"spam": {"median": 0.9962}, "1q": {"median": 0.9998}, "2q": {"median": 0.994}},
    "timing": {"readout": 0.00015, "reset": 0.00005, "1q": 0.00013, "2q": 0.00095, "t1": 100, "t2": 1},
}


class FakeIonQ(FakeService):
    """The service: its jobs, what was asked of it, and the faults to come."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.payloads: list[dict[str, Any]] = []
        self.keys = {KEY}
        self.questions_until_done = 1
        self.chance = np.random.default_rng(1)
        self._lock = threading.Lock()

    @property
    def n_run(self) -> int:
        """How many jobs there are, each of which costs money."""
        return len(self.jobs)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and document."""
        with self._lock:
            match method, path.strip("/").split("/"):
                case "GET", ["backends"]:
                    told = {"average_queue_time": 1000, "last_updated": "2026-06-16T00:00:00Z", "degraded": False}
                    return 200, [{**row, **told} for row in BACKENDS]
                case "GET", ["backends", "qpu.forte-1", "characterizations"]:
                    return 200, {"characterizations": [CHARACTERIZATION], "pages": 0}
                case "GET", ["jobs", "estimate"]:
                    return 200, self._estimate(query)
                case "POST", ["jobs"]:
                    return self._create(body)
                case "GET", ["jobs"]:
                    return 200, self._page(query)
                case "GET", ["jobs", job]:
                    return self._job(job)
                case "PUT", ["jobs", job, "status", "cancel"]:
                    return self._cancel(job)
                case "GET", ["jobs", job, "artifacts", "probabilities-aggregate"] if job in self.jobs:
                    return 200, self.jobs[job]["_aggregate"]
        return 404, {"error": "Not Found Error", "message": "Resource not found.", "statusCode": 404}

    def _create(self, body: Any) -> tuple[int, Any]:
        problems = [error.message for error in PAYLOAD.iter_errors(body)]
        n_gates = sum(len(one["circuit"]) for one in body["input"]["circuits"]) if not problems else 0
        if problems or n_gates > 150_000:
            return 400, {"error": "Bad Request", "message": "; ".join(problems) or "TooManyGates", "statusCode": 400}
        self.payloads.append(body)
        identity = str(uuid.uuid4())
        children = [str(uuid.uuid4()) for _ in body["input"]["circuits"]]
        distributions = [self._distribution(one, body) for one in body["input"]["circuits"]]
        self.jobs[identity] = {
            "id": identity, "status": "ready", "type": body["type"], "backend": body["backend"], "dry_run": False,
            "submitter_id": "somebody", "project_id": None, "parent_job_id": None, "session_id": None,
            "metadata": body["metadata"], "name": body["name"], "shots": body["shots"], "child_job_ids": children,
            "submitted_at": self._time(), "started_at": None, "completed_at": None, "failure": None,
            "predicted_wait_time_ms": None, "predicted_execution_duration_ms": None, "execution_duration_ms": None,
            "output": {}, "settings": {}, "stats": {}, "results": None,
            "_left": self.questions_until_done,
            "_aggregate": dict(sorted(zip(children, distributions, strict=True))),
        }  # fmt: skip
        return 201, {"id": identity, "status": "ready", "session_id": None}

    def _time(self) -> str:
        at = datetime.now(UTC) + timedelta(milliseconds=len(self.jobs))
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        """Newest first, two at a time."""
        rows = [public(job) for job in reversed(self.jobs.values())]
        start = int(query.get("next", 0))
        following = start + 2
        return {"jobs": rows[start:following], "next": str(following) if following < len(rows) else None}

    def _job(self, identity: str) -> tuple[int, Any]:
        if identity not in self.jobs:
            return 404, {"error": "Not Found Error", "message": "Job not found.", "statusCode": 404}
        job = self.jobs[identity]
        if job["status"] in ("ready", "started"):
            if job["_left"] <= 0:
                aggregate = "ionq.result.probabilities-aggregate.json.v1"
                about = {"id": "probabilities-aggregate", "format": aggregate, "media_type": "application/json"}
                job |= {"status": "completed", "results": {aggregate: about}, "execution_duration_ms": 12500}
                job |= {"completed_at": self._time()}
            else:
                job |= {"status": "started", "_left": job["_left"] - 1}
        return 200, public(job)

    def _cancel(self, identity: str) -> tuple[int, Any]:
        if identity not in self.jobs:
            return 404, {"error": "Not Found Error", "message": "Job not found.", "statusCode": 404}
        if self.jobs[identity]["status"] in ("completed", "failed"):
            return 409, {"error": "Conflict", "message": "Job has ended.", "statusCode": 409}
        self.jobs[identity]["status"] = "canceled"
        return 200, {"id": identity, "status": "canceled"}

    def _estimate(self, query: dict[str, str]) -> dict[str, Any]:
        gates = int(query["1q_gates"]) * 0.00003 + int(query["2q_gates"]) * 0.0003
        return {
            "estimate_context": {"backend": query["backend"], "organization": None, "project": None},
            "estimated_at": self._time(),
            "estimated_unit": "usd",
            "rate_card": {"id": "card", "rates": []},
            "estimated_total_cost": gates * int(query["shots"]),
            "estimated_execution_time": 96250,
            "current_predicted_queue_time": 397577,
        }

    def _distribution(self, one: dict[str, Any], body: dict[str, Any]) -> dict[str, float]:
        """Probability of each state by its number, qubit 0 the lowest bit; measured ones are shares of the shots."""
        circuit, shots = circuit_of(one), body["shots"]
        if "noise" in body:
            noisy = Program(NOISE.apply(circuit.copy().measure_all()), shots=shots, seed=body["noise"]["seed"])
            counts = (LocalBackend().run(noisy).counts or ({},))[0]
            shares = {bits: number / shots for bits, number in counts.items()}
        else:
            exact = np.abs(state_vector(circuit)) ** 2
            if body["backend"] != "simulator":
                exact = self.chance.multinomial(shots, exact / exact.sum()) / shots
            shares = {format(i, f"0{circuit.n_qubits}b"): float(share) for i, share in enumerate(exact) if share}
        return {str(int(bits[::-1], 2)): share for bits, share in shares.items()}


def public(job: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in job.items() if not key.startswith("_")}


def circuit_of(one: dict[str, Any]) -> Circuit:
    circuit = Circuit(one["qubits"])
    for gate in one["circuit"]:
        qubits = gate.get("targets", [gate["target"]] if "target" in gate else [])
        qubits = [gate["control"], *qubits] if "control" in gate else qubits
        angles = [gate["rotation"]] if "rotation" in gate else []
        circuit.append(OURS.get(gate["gate"], gate["gate"]), qubits, angles)
    return circuit


@contextmanager
def serving(fake: FakeIonQ) -> Iterator[str]:
    """The URL of the service."""

    class IonQ(Handler):
        def _serve(self) -> None:
            at = urlsplit(self.path)
            path = at.path.removeprefix("/v0.4")
            fault = fake.asked(f"{self.command} {path.split('/')[1]}" + "/*" * (path.count("/") - 1))
            text, query = self.body(), {name: values[0] for name, values in parse_qs(at.query).items()}
            if fault.isdecimal():
                self.reply(int(fault), {"error": "x", "message": "injected", "statusCode": int(fault)})
            elif path != "/backends" and self.headers.get("Authorization", "").removeprefix("apiKey ") not in fake.keys:
                self.reply(401, {"error": "Unauthorized Error", "message": "Invalid key provided.", "statusCode": 401})
            else:
                sent = json.loads(text) if text else None
                self.answer(fake, fault, lambda: fake.answer(self.command, path, query, sent))

        do_GET = do_POST = do_PUT = _serve

        def reply(
            self, status: int, document: Any, headers: Mapping[str, str] | None = None, share: float = 1.0
        ) -> None:
            super().reply(status, document, {"Retry-After": "3"} if status == 429 else {}, share)

    with listening(IonQ, fake) as port:
        yield f"http://127.0.0.1:{port}/v0.4"
