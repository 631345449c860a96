"""A server on loopback that speaks the wire of IBM Quantum Platform, with faults on demand.

Paths, payloads and headers are those that qiskit-ibm-runtime 0.51 sends and reads: its ``api/rest/runtime.py``,
``program_job.py``, ``cloud_backend.py``, ``runtime_session.py`` and ``json.py``; for keys and instances those of
ibm-cloud-sdk-core (IAM) and ibm-platform-services (global search, global catalog). Processors are the package's own
snapshots; circuits run without noise.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.backends.clouds.loopback import Handler, listening

API_KEY = "the-key-that-nobody-may-print"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:11112222-3333-4444-5555-666677778888::"


@dataclass
class Job:
    """A job as the server keeps it."""

    id: str
    body: dict[str, Any]
    params: str
    words: list[str]
    results: str = ""
    n_runs: int = 0

    def document(self, with_params: bool) -> dict[str, Any]:
        state: dict[str, Any] = {"status": self.words[0]}
        if self.words[0] == "Failed":
            state |= {"reason": "the circuit was too long", "reason_code": 1517}
        out = {
            "id": self.id, "backend": self.body["backend"], "state": state, "status": self.words[0],
            "program": {"id": self.body["program_id"]}, "created": "2026-11-26T12:00:00.000Z",
            "tags": self.body.get("tags", []), "session_id": self.body.get("session_id"),
        }  # fmt: skip
        return out | ({"params": json.loads(self.params)} if with_params else {})


@dataclass
class Fault:
    """What happens to the next requests that fit: an answer before the work or after it, late, or none at all."""

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    hangs: bool = False
    change: Callable[[str], str] | None = None
    times: int = 1


class Platform:
    """The state behind the wire.

    Args:
        snapshots: Names of the package's snapshots that stand for processors.
        words: Status words that a job shows one after the other; the last one stays.
    """

    def __init__(self, snapshots: tuple[str, ...] = ("manila",), words: tuple[str, ...] = ("Completed",)) -> None:
        self.snapshots, self.words = snapshots, words
        self.jobs: dict[str, Job] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.plan, self.key, self.keeps_metadata = "Pay-as-you-go", API_KEY, True
        self.revoked = set[str]()
        self.service: Any = None  # a client's, for tests that share one
        self.released = threading.Event()
        self._lock = threading.RLock()

    def fail(self, method: str, path: str, **how: Any) -> None:
        """Let the next request of this method whose path fits the expression go wrong."""
        self.faults.append(Fault(method, path, **how))

    def count(self, method: str, path: str) -> int:
        """How many requests came whose path fits the whole expression."""
        return sum(one == method and re.fullmatch(path, where) is not None for one, where in self.requests)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    port = 0

    def fault(self, method: str, path: str) -> Fault | None:
        for one in self.faults:
            if one.method == method and re.search(one.path, path):
                one.times -= 1
                if not one.times:
                    self.faults.remove(one)
                return one
        return None

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: str, auth: str) -> tuple[int, str]:
        """Return status and body."""
        with self._lock:
            if path == "/identity/token":
                return self._token(parse_qs(body))
            if not auth.startswith("Bearer ") or auth in self.revoked:
                return 401, _refusal("Expired token", 1200)
            for verb, expression, work in self._routes():
                if verb == method and (found := re.fullmatch(expression, path)):
                    return work(*found.groups(), query=query, body=body)
            return 404, _refusal(f"nothing at {path}", 1000)

    def _routes(self) -> tuple[tuple[str, str, Callable[..., tuple[int, str]]], ...]:
        return (
            ("POST", r"/search/v3/resources/search", self._instances),
            ("GET", r"/catalog/([\w-]+)", self._plan),
            ("GET", r"/api/v1/instances/usage", lambda **_: (200, json.dumps({"usage_consumed_seconds": 3}))),
            ("GET", r"/api/v1/backends", self._backends),
            ("GET", r"/api/v1/backends/ibm_(\w+)/configuration", lambda name, **_: (200, _snapshot("conf", name))),
            ("GET", r"/api/v1/backends/ibm_(\w+)/properties", lambda name, **_: (200, _snapshot("props", name))),
            ("GET", r"/api/v1/backends/ibm_(\w+)/status", self._status),
            ("POST", r"/api/v1/jobs", self._submit),
            ("GET", r"/api/v1/jobs", self._search),
            ("GET", r"/api/v1/jobs/([\w-]+)", self._job),
            ("GET", r"/api/v1/jobs/([\w-]+)/results", self._results),
            ("POST", r"/api/v1/jobs/([\w-]+)/cancel", self._cancel),
            ("POST", r"/api/v1/sessions", self._open),
            ("GET", r"/api/v1/sessions/([\w-]+)", self._session),
            ("PATCH", r"/api/v1/sessions/([\w-]+)", self._close),
        )

    def _token(self, form: dict[str, list[str]]) -> tuple[int, str]:
        import jwt

        if form.get("apikey") != [self.key]:
            return 400, json.dumps({"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."})
        now = int(time.time())
        token = jwt.encode({"iat": now, "exp": now + 3600}, "not checked by the client, but long enough", "HS256")
        told = {"access_token": token, "refresh_token": "x", "token_type": "Bearer", "expires_in": 3600}
        return 200, json.dumps(told | {"expiration": now + 3600})

    def _instances(self, **_: Any) -> tuple[int, str]:
        doc = {"extensions": {"allocations": ["all"]}}
        item = {"crn": CRN, "service_plan_unique_id": "plan-1", "name": "mine", "doc": doc, "tags": []}
        return 200, json.dumps({"items": [item], "limit": 100})

    def _plan(self, name: str, **_: Any) -> tuple[int, str]:
        entry = {"id": name, "overview_ui": {"en": {"display_name": self.plan}}, "name": "q", "kind": "plan"}
        return 200, json.dumps(entry | {"metadata": {"pricing": {"type": "paygo"}}})

    def _backends(self, **_: Any) -> tuple[int, str]:
        rows = [{"name": f"ibm_{one}", "class": "qpu", "qubits": 5} for one in self.snapshots]
        return 200, json.dumps({"devices": rows})

    def _status(self, name: str, **_: Any) -> tuple[int, str]:
        told = {"state": True, "status": "active", "length_queue": 7, "backend_version": "1.0"}
        return 200, json.dumps(told | {"message": name})

    def _submit(self, body: str, **_: Any) -> tuple[int, str]:
        document = json.loads(body)
        session = self.sessions.get(document.get("session_id", ""))
        if session is not None and not session["accepting_jobs"]:
            return 400, _refusal("The session is closed.", 1217)
        params = json.dumps(document.pop("params"))
        name = f"job-{len(self.jobs)}"
        self.jobs[name] = Job(name, document, params, list(self.words))
        return 200, json.dumps({"id": name, "backend": document["backend"]})

    def _search(self, query: dict[str, list[str]], **_: Any) -> tuple[int, str]:
        wanted = set(query.get("tags", []))
        found = [job for job in self.jobs.values() if wanted <= set(job.body.get("tags", []))]
        found = found if query.get("sort") == ["ASC"] else found[::-1]
        page = found[: int(query.get("limit", ["10"])[0])]
        return 200, json.dumps({"jobs": [job.document(False) for job in page], "count": len(found)})

    def _job(self, name: str, query: dict[str, list[str]], **_: Any) -> tuple[int, str]:
        job = self.jobs.get(name)
        if job is None:
            return 404, _refusal("Job not found.", 1291)
        told = job.document(query.get("exclude_params") != ["true"])
        if len(job.words) > 1:
            job.words.pop(0)
        return 200, json.dumps(told)

    def _results(self, name: str, **_: Any) -> tuple[int, str]:
        job = self.jobs[name]
        if not job.results:
            job.n_runs += 1
            job.results = "Traceback: no" if job.words[0] == "Failed" else self._run(job.body["program_id"], job.params)
        return 200, job.results

    def _run(self, primitive: str, params: str) -> str:
        from qiskit.exceptions import QiskitError
        from qiskit.primitives import StatevectorEstimator, StatevectorSampler
        from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

        document = json.loads(params, cls=RuntimeDecoder)
        pubs = [tuple(pub) for pub in document["pubs"]]
        try:
            if any("reset" in pub[0].count_ops() for pub in pubs):  # which it does once, for all shots
                raise QiskitError
            if primitive == "estimator":
                precision = document["options"]["default_shots"] ** -0.5
                results = StatevectorEstimator(default_precision=precision, seed=7).run(pubs).result()
            else:
                results = StatevectorSampler(seed=7).run(pubs).result()
        except QiskitError:  # nor does it know conditions
            results = _dynamic(pubs)
        if not self.keeps_metadata:
            for one in results:
                one.metadata.pop("circuit_metadata", None)
        return json.dumps(results, cls=RuntimeEncoder)

    def _cancel(self, name: str, **_: Any) -> tuple[int, str]:
        if name not in self.jobs:
            return 404, _refusal("Job not found.", 1291)
        if self.jobs[name].words in (["Completed"], ["Failed"], ["Cancelled"]):
            return 409, _refusal("Job cannot be cancelled.", 1295)
        self.jobs[name].words = ["Cancelled"]
        return 204, ""

    def _open(self, body: str, **_: Any) -> tuple[int, str]:
        name = f"session-{len(self.sessions)}"
        given = json.loads(body)
        told = {"id": name, "state": "open", "accepting_jobs": True, "backend_name": given["backend"]}
        self.sessions[name] = given | told
        return 200, json.dumps(self.sessions[name])

    def _session(self, name: str, **_: Any) -> tuple[int, str]:
        return 200, json.dumps(self.sessions[name])

    def _close(self, name: str, body: str, **_: Any) -> tuple[int, str]:
        self.end_session(name)
        return 204, ""

    def end_session(self, name: str) -> None:
        self.sessions[name].update(state="closed", accepting_jobs=False)


def _dynamic(pubs: list[tuple[Any, ...]]) -> Any:
    """Results of circuits that measure in the middle, from Aer, with what IBM's service adds to each."""
    from qiskit_aer.primitives import SamplerV2

    results = SamplerV2(seed=7).run(pubs).result()
    for pub, one in zip(pubs, results, strict=True):
        one.metadata.update(circuit_metadata=pub[0].metadata)
    return results


def _refusal(message: str, code: int) -> str:
    return json.dumps({"errors": [{"message": message, "code": code}], "trace": "x"})


def _snapshot(kind: str, name: str) -> str:
    text = (files("qiskit_ibm_runtime") / "fake_provider" / "backends" / name / f"{kind}_{name}.json").read_text()
    document = json.loads(text) | {"backend_name": f"ibm_{name}"}
    if kind == "props":  # times on the wire are UTC
        at = datetime.fromisoformat(document["last_update_date"])
        document["last_update_date"] = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps(document)


class _Handler(Handler):
    platform: Platform

    def _serve(self) -> None:
        parts, body, platform = urlsplit(self.path), self.body(), self.platform
        platform.requests.append((self.command, parts.path))
        fault = platform.fault(self.command, parts.path)
        if fault is not None and not fault.after and fault.change is None:
            self._say(fault.status, _refusal("try later", 429), fault.headers)
            return
        auth = self.headers.get("Authorization", "")
        status, text = platform.answer(self.command, parts.path, parse_qs(parts.query), body, auth)
        if fault is not None and fault.change is not None:
            text = fault.change(text)
        elif fault is not None:
            if fault.hangs:
                platform.released.wait(60)
            self._say(fault.status, _refusal("gateway", 504), fault.headers)
            return
        self.reply(status, text, {} if fault is None else fault.headers)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def _say(self, status: int | None, text: str, headers: dict[str, str]) -> None:
        if status is None:
            self.drop()
        else:
            self.reply(status, text, headers)


@contextmanager
def serving(platform: Platform) -> Iterator[Platform]:
    """Serve ``platform`` on a port of loopback."""
    with listening(type("IBM", (_Handler,), {"platform": platform})) as platform.port:
        yield platform
        platform.released.set()
