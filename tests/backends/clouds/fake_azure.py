"""An Azure Quantum workspace and its storage on loopback; jobs are really run.

Source: the data plane's OpenAPI document 2024-10-01-preview (github.com/Azure/azure-rest-api-specs,
specification/quantum/data-plane), and what the client generated from 2026-01-15-preview (azure-quantum 3.13.0,
``_client``) sends and reads beyond it; results as that client's ``job/job.py`` and ``target/rigetti`` read them. IonQ's
circuits and Quil run on our engine, QIR on the simulator of the Quantum Development Kit.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
import numpy as np
from tests.backends.clouds.fake_ionq import circuit_of
from tests.backends.clouds.loopback import FakeService, Handler, listening

from superpose.backends import LocalBackend
from superpose.circuits import Program
from superpose.circuits.reference import state_vector

os.environ.setdefault("QDK_PYTHON_TELEMETRY", "none")
KEY, SIGNATURE = "the-key-of-the-test", "the+signature/of=the-test"
SUBSCRIPTION, GROUP, WORKSPACE = "00000000-1111-2222-3333-444444444444", "group", "lab"
HOME = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Quantum/workspaces/{WORKSPACE}"
VERSION = "2026-01-15-preview"
JOB = jsonschema_rs.validator_for(
    {
        "type": "object",
        "required": ["name", "providerId", "target", "itemType", "containerUri"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "providerId": {"type": "string"},
            "target": {"type": "string"},
            "itemType": {"const": "Job"},
            "jobType": {"enum": ["Unknown", "QuantumComputing", "Optimization"]},
            "sessionId": {"type": "string"},
            "containerUri": {"type": "string"},
            "inputDataUri": {"type": "string"},
            "inputDataFormat": {"enum": ["ionq.circuit.v1", "qir.v1", "rigetti.quil.v1"]},
            "outputDataFormat": {"type": "string"},
            "outputDataUri": {"type": "string"},
            "inputParams": {"type": "object"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "priority": {"enum": ["Standard", "High"]},
        },
    }
)
TARGETS = {
    "ionq": [("ionq.simulator", "Available", 2, {}), ("ionq.qpu.forte-1", "Degraded", 397, {"numQubits": 36})],
    "quantinuum": [
        ("quantinuum.qpu.h2-1", "Unavailable", 90000, {"numQubits": 56}),
        ("quantinuum.sim.h2-1e", "Available", 3, {"numQubits": 20, "targetProfile": "Adaptive_RI"}),
        ("quantinuum.sim.h2-1sc", "Available", 1, {"numQubits": 20}),
    ],
    "rigetti": [("rigetti.sim.qvm", "Available", 5, {"targetProfile": "Base"})],
    "pasqal": [("pasqal.sim.emu-tn", "Available", 278, {})],
}
QUOTAS = [
    {"dimension": "qgs", "scope": "Subscription", "providerId": "ionq", "utilization": 12.5, "holds": 1.0,
     "limit": 100.0, "period": "Monthly"},
    {"dimension": "hqc", "scope": "Workspace", "providerId": "quantinuum", "utilization": 0.0, "holds": 0.0,
     "limit": 40.0, "period": "None"},
]  # fmt: skip


class FakeAzure(FakeService):
    """The workspace: its jobs, blobs by container and name, and what it asks of whoever comes."""

    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self.jobs: dict[str, dict[str, Any]] = {}
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.keys, self.tokens = {KEY}, {"a-token"}
        self.signature = SIGNATURE
        self.questions_until_done = 1
        self.page = 100
        self.chance = np.random.default_rng(1)

    @property
    def n_run(self) -> int:
        """How many jobs there are, each of which costs money."""
        return len(self.jobs)

    def answer(self, method: str, path: str, query: Mapping[str, str], sent: Any) -> tuple[int, Any]:
        """Status and document of the workspace."""
        match method, path.strip("/").split("/"):
            case "GET", ["providerStatus"]:
                return 200, {"value": [_provider(name, rows) for name, rows in TARGETS.items()]}
            case "GET", ["quotas"]:
                return 200, {"value": QUOTAS}
            case "POST", ["storage", "sasUri"]:
                container = str(sent["containerName"])
                self.blobs.setdefault(container, {})
                query_ = f"sv=2021-12-02&sr=c&sp=rcw&sig={_quoted(self.signature)}"
                place = "/".join([container, sent["blobName"]] if sent.get("blobName") else [container])
                return 200, {"sasUri": f"{self.url}/store/{place}?{query_}"}
            case "PUT", ["jobs", job]:
                return self._create(job, sent)
            case "GET", ["jobs"]:
                return 200, self._listed(query)
            case "GET", ["jobs", job] if job in self.jobs:
                return 200, self._asked_for(job)
            case "POST", ["jobs", job] if job.endswith(":cancel") and job[:-7] in self.jobs:
                return self._cancel(job[:-7])
        return 404, {"error": {"code": "NotFound", "message": "There is nothing of this name."}}

    def _create(self, job: str, sent: Any) -> tuple[int, Any]:
        problems = [error.message for error in JOB.iter_errors(sent)]
        if problems or str(uuid.UUID(job)) != job:
            return 400, {"error": {"code": "InvalidRequest", "message": "; ".join(problems) or "id"}}
        if job in self.jobs:
            return 409, {"error": {"code": "Conflict", "message": "A job of this id exists."}}
        self.jobs[job] = {
            **sent, "id": job, "status": "Waiting", "creationTime": "2026-11-26T20:00:00.5Z",
            "outputDataUri": f"{self.url}/store/job-{job}/rawOutputData", "_left": self.questions_until_done,
        }  # fmt: skip
        return 201, public(self.jobs[job])

    def _listed(self, query: Mapping[str, str]) -> dict[str, Any]:
        start, wanted = int(query.get("skip", 0)), query.get("filter", "").split("'")[1]
        found = [self._asked_for(job) for job, row in self.jobs.items() if row["name"].startswith(wanted)]
        return {"value": found[start : start + int(query.get("top", 100))]}

    def _asked_for(self, job: str) -> dict[str, Any]:
        row = self.jobs[job]
        if row["status"] in ("Waiting", "Executing"):
            row |= {"status": "Executing", "_left": row["_left"] - 1}
            if row["_left"] < 0:
                self._run(row)
        return public(row)

    def _run(self, row: dict[str, Any]) -> None:
        container = self.blobs[f"job-{row['id']}"]
        try:
            result = RUNNERS[row["inputDataFormat"]](self, container["inputData"].decode(), row)
        except Exception as error:
            row |= {"status": "Failed", "errorData": {"code": "InvalidInputData", "message": str(error)}}
            return
        container["rawOutputData"] = json.dumps(result).encode()
        cost = {"currencyCode": "USD", "events": [], "estimatedTotal": 0.25}
        row |= {"status": "Succeeded", "endExecutionTime": "2026-11-26T20:00:08.25Z", "costEstimate": cost}

    def _cancel(self, job: str) -> tuple[int, Any]:
        row = self.jobs[job]
        if row["status"] in ("Succeeded", "Failed"):
            return 409, {"error": {"code": "Conflict", "message": "It has ended."}}
        row["status"] = "Cancelled"
        return 200, public(row)

    def blob(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], sent: bytes) -> Any:
        """Status and document of the storage."""
        container, name = path.removeprefix("/store/").split("/", 1)
        if query.get("sig") != self.signature:
            return 403, "<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>"
        if KEY in str(headers) or "x-ms-version" not in headers:
            return 400, "<?xml version='1.0'?><Error><Code>InvalidHeaderValue</Code></Error>"
        if method == "PUT" and headers.get("x-ms-blob-type") == "BlockBlob" and container in self.blobs:
            self.blobs[container][name] = sent
            return 201, b""
        if method == "GET" and name in self.blobs.get(container, {}):
            return 200, self.blobs[container][name]
        return 404, "<?xml version='1.0'?><Error><Code>BlobNotFound</Code></Error>"


def _provider(name: str, rows: Any) -> dict[str, Any]:
    told = [
        {"id": target, "currentAvailability": word, "averageQueueTime": wait, "statusPage": "", **more}
        for target, word, wait, more in rows
    ]
    return {"id": name, "currentAvailability": "Available", "targets": told}


def _quoted(text: str) -> str:
    return text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


def public(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not key.startswith("_")}


def ionq(fake: FakeAzure, text: str, row: dict[str, Any]) -> Any:
    """Probabilities by a state's number, qubit 0 the lowest bit: exact on the simulator, else shares of shots."""
    sent = json.loads(text)
    assert sent["gateset"] == "qis"
    circuit = circuit_of(sent)
    exact = np.abs(state_vector(circuit)) ** 2
    shots = row["inputParams"]["shots"]
    if row["target"] != "ionq.simulator":
        exact = fake.chance.multinomial(shots, exact / exact.sum()) / shots
    states = {format(k, f"0{circuit.n_qubits}b")[::-1]: float(share) for k, share in enumerate(exact) if share}
    return {"histogram": {str(int(bits, 2)): share for bits, share in states.items()}}


def qir(fake: FakeAzure, text: str, row: dict[str, Any]) -> Any:
    from qdk.simulation import run_qir

    params = row["inputParams"]
    assert f"@{params['entryPoint']}(" in text and params["arguments"] == []
    seed = int(fake.chance.integers(2**31))
    rows = run_qir(text, params["shots"], seed=seed, type="cpu")
    shots = [[int(str(bit) == "One") for bit in one] for one in rows]
    tally = Counter(map(tuple, shots))
    histogram = [{"Outcome": list(bits), "Display": str(list(bits)), "Count": n} for bits, n in tally.items()]
    return {"DataFormat": row["outputDataFormat"], "Results": [{"Histogram": histogram, "Shots": shots}]}


def quil(fake: FakeAzure, text: str, row: dict[str, Any]) -> Any:
    """The memory "ro" after each shot, one set of values after the other."""
    from tests.backends.clouds.fake_qvm import circuit_of as quil_circuit

    params = row["inputParams"]
    given = params.get("substitutions", {})
    entries = range(max((len(values) for values in given.values()), default=1))
    out = []
    circuit = quil_circuit(text)
    for entry in entries:
        values = {name: vectors[entry][0] for name, vectors in given.items()}
        program = Program(circuit.bind(values) if values else circuit, shots=params["shots"])
        (counts,) = LocalBackend().run(program).counts or ()
        out += [[int(bit) for bit in bits] for bits, number in counts.items() for _ in range(number)]
    return {"ro": out}


RUNNERS = {"ionq.circuit.v1": ionq, "qir.v1": qir, "rigetti.quil.v1": quil}


@contextmanager
def serving(fake: FakeAzure) -> Iterator[str]:
    """The URL of the service."""

    class Azure(Handler):
        def _serve(self) -> None:
            at = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(at.query).items()}
            content = self.content()
            if at.path.startswith("/store/"):
                fault = fake.asked(f"{self.command} blob")
                if fault.isdecimal():
                    self.reply(int(fault), "<?xml version='1.0'?><Error><Code>ServerBusy</Code></Error>")
                else:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    self.answer(fake, fault, lambda: fake.blob(self.command, at.path, query, headers, content))
                return
            path = at.path.removeprefix(HOME)
            kind = f"{self.command} {path.split('/')[1]}" + "/*" * (path.count("/") - 1)
            fault = fake.asked(kind)
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if fault.isdecimal():
                self.reply(int(fault), {"error": {"code": "x", "message": "injected"}})
            elif self.headers.get("x-ms-quantum-api-key") not in fake.keys and bearer not in fake.tokens:
                self.reply(401, {"error": {"code": "Unauthorized", "message": "Access denied."}})
            elif query.get("api-version") != VERSION or path == at.path:
                self.reply(400, {"error": {"code": "InvalidRequest", "message": "version or workspace"}})
            else:
                sent = json.loads(content) if content else None
                self.answer(fake, fault, lambda: fake.answer(self.command, path, query, sent))

        do_GET = do_POST = do_PUT = _serve

        def reply(
            self, status: int, document: Any, headers: Mapping[str, str] | None = None, share: float = 1.0
        ) -> None:
            told = {"Retry-After": "3"} if status == 429 else {}
            if isinstance(document, bytes) and (self.headers.get("x-ms-range") or self.headers.get("Range")):
                size = len(document)  # which Microsoft's client asks for in parts of 32 MiB
                status, told = 206, {"Content-Range": f"bytes 0-{size - 1}/{size}", "ETag": '"0x1"'}
            super().reply(status, document, told, share)

    with listening(Azure, fake) as port:
        fake.url = f"http://127.0.0.1:{port}"
        yield fake.url
