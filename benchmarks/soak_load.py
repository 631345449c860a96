"""The mixed load of the soak: actors that each do one kind of thing again and again, and look at every answer."""

from __future__ import annotations

import http.client
import json
import math
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from superpose.circuits import Circuit, Observable, Parameter, Program, program_to_json

__all__ = ["ACTORS", "Api", "Shared", "UnexpectedAnswer", "prepare", "run_actor"]

SPEC = {
    "model": {"n_qubits": 3, "ansatz": {"layers": 1}},
    "training": {"epochs": 2},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
}
FEATURES = ("a", "b", "c", "d")
FINAL = ("succeeded", "failed", "cancelled")
JOB_S = 240.0
_KEPT_EXAMPLES = 100


class UnexpectedAnswer(Exception):
    """An answer that is not the one that should have come."""


@dataclass
class Shared:
    """What the actors know of each other.

    Attributes:
        url: address of the server.
        keys: a key by role.
        stop: set when the load is to end.
        answers: answers by actor.
        statuses: answers by status.
        errors: what was not as expected, the first hundred.
        n_errors: how many there were.
        jobs: ids of the newest jobs, for those who read event streams.
    """

    url: str
    keys: dict[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    n_errors: int = 0
    jobs: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, actor: str, status: int) -> None:
        """Count an answer."""
        with self.lock:
            self.answers[actor] += 1
            self.statuses[status] += 1

    def wrong(self, actor: str, what: str) -> None:
        """Count what was not as expected."""
        with self.lock:
            self.n_errors += 1
            if len(self.errors) < _KEPT_EXAMPLES:
                self.errors.append(f"{actor}: {what}")

    def submitted(self, job_id: str) -> None:
        """Tell the others of a job."""
        with self.lock:
            self.jobs = [*self.jobs[-19:], job_id]


class Api:
    """One actor's connection, kept open; ``call`` refuses any answer but the expected one."""

    def __init__(self, shared: Shared, actor: str, role: str = "admin") -> None:
        self.shared, self.actor, self.key = shared, actor, shared.keys[role]
        parts = urlsplit(shared.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The open answer, for streams."""
        sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        self._connection.request(method, path, body, sent)
        answer = self._connection.getresponse()
        self.shared.answered(self.actor, answer.status)
        return answer

    def raw(
        self, method: str, path: str, body: Any = None, *, expect: int = 200, headers: dict[str, str] | None = None
    ) -> tuple[Any, bytes]:
        """Answer and its bytes.

        Raises:
            UnexpectedAnswer: another status than ``expect``.
        """
        answer = self.send(method, path, body, headers)
        content = answer.read()
        if answer.status != expect:
            raise UnexpectedAnswer(f"{method} {path}: {answer.status}, not {expect}: {content[:300]!r}")
        return answer, content

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON in the answer, None where it is empty."""
        _, content = self.raw(method, path, body, **options)
        return json.loads(content) if content else None

    def ended(self, job_id: str, status: str = "succeeded") -> Any:
        """The job once it has ended.

        Raises:
            UnexpectedAnswer: it ended otherwise, or not in time.
        """
        deadline = time.monotonic() + JOB_S
        while time.monotonic() < deadline:
            job = self.call("GET", f"/v1/jobs/{job_id}")
            if job["status"] in FINAL:
                if job["status"] != status:
                    raise UnexpectedAnswer(f"job {job_id} {job['status']}, not {status}: {job.get('error')}")
                return job
            time.sleep(0.2)
        raise UnexpectedAnswer(f"job {job_id} has not ended after {JOB_S:g} s")


def check(found: object, wanted: object, what: str) -> None:
    """Refuse what is not so.

    Raises:
        UnexpectedAnswer: naming both.
    """
    if found != wanted:
        raise UnexpectedAnswer(f"{what}: got {str(found)[:200]}, not {wanted}")


def table(dice: random.Random, n_rows: int) -> bytes:
    """A CSV of numbers with a class that depends on them."""
    lines = [",".join((*FEATURES, "outcome"))]
    for _ in range(n_rows):
        row = [dice.gauss(0, 1) for _ in FEATURES]
        lines.append(",".join((*(f"{x:.6f}" for x in row), "yes" if sum(row) > 0 else "no")))
    return "\n".join(lines).encode()


def add_table(api: Api, name: str, content: bytes) -> Any:
    """Upload a CSV."""
    path = f"/v1/datasets?name={name}&target=outcome"
    return api.call("POST", path, content, expect=201, headers={"Content-Type": "text/csv"})


def prepare(shared: Shared) -> None:
    """What the load needs: a data set, a model of two versions, an endpoint, a key per role."""
    api = Api(shared, "prepare")
    dice = random.Random(1)
    for role in ("editor", "viewer", "predictor"):
        shared.keys[role] = api.call("POST", "/v1/keys", {"role": role}, expect=201)["secret"]
    add_table(api, "soak", table(dice, 200))
    for seed in (1, 2):
        spec = {**SPEC, "training": {"epochs": 2, "seed": seed}}
        document = {"kind": "train", "dataset": "soak", "model": "soak", "spec": spec}
        api.ended(api.call("POST", "/v1/jobs", document, expect=202)["id"])
    api.call("POST", "/v1/endpoints", {"name": "soak", "model": "soak", "version": 1}, expect=201)
    predict(api, dice, 1)
    api.close()


def predict(api: Api, dice: random.Random, n_rows: int) -> None:
    """Predictions over JSON rows."""
    rows = [{name: dice.gauss(0, 1) for name in FEATURES} for _ in range(n_rows)]
    answer = api.call("POST", "/v1/endpoints/soak/predict", {"rows": rows})
    check(len(answer["predictions"]), n_rows, "predictions")
    if any(abs(sum(row) - 1) > 1e-6 for row in answer["probabilities"]):
        raise UnexpectedAnswer("probabilities do not sum to 1")


def small_predictions(api: Api, dice: random.Random) -> None:
    """One row at a time."""
    for _ in range(20):
        predict(api, dice, 1)


def large_predictions(api: Api, dice: random.Random) -> None:
    """16 to 2000 rows."""
    predict(api, dice, dice.choice((16, 100, 500, 2000)))


def inference(api: Api, dice: random.Random) -> None:
    """The Open Inference Protocol, its metadata now and then."""
    n_rows = dice.choice((1, 8, 64, 256))
    data = [dice.gauss(0, 1) for _ in range(n_rows * len(FEATURES))]
    tensor = {"name": "input", "shape": [n_rows, len(FEATURES)], "datatype": "FP64", "data": data}
    answer = api.call("POST", "/v2/models/soak/infer", {"id": "soak", "inputs": [tensor]})
    shapes = {output["name"]: output["shape"] for output in answer["outputs"]}
    check(shapes, {"probabilities": [n_rows, 2], "label": [n_rows]}, "shapes")
    if dice.random() < 0.1:
        check(api.call("GET", "/v2/models/soak/ready")["ready"], True, "ready")
        api.call("GET", "/v2/models/soak")
    if "binary_tensor_data" in api.call("GET", "/v2").get("extensions", []):
        _binary_inference(api, np.asarray(data).reshape(n_rows, len(FEATURES)))


def _binary_inference(api: Api, cells: np.ndarray) -> None:
    """The same with tensors as bytes in and out."""
    raw = cells.astype("<f8").tobytes()
    tensor = {"name": "input", "shape": list(cells.shape), "datatype": "FP64"}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": wanted}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    answer, content = api.raw("POST", "/v2/models/soak/infer", head + raw, headers=headers)
    n_head = int(answer.headers["Inference-Header-Content-Length"])
    check(len(content) - n_head, len(cells) * 2 * 8, "bytes of probabilities")


def train(api: Api, dice: random.Random) -> None:
    """A training job, its version's file, and its end; now and then one that is cancelled."""
    spec = {**SPEC, "training": {"epochs": dice.randint(1, 3), "seed": dice.randrange(1000)}}
    document = {"kind": "train", "dataset": "soak", "model": "trained", "spec": spec}
    key = {"Idempotency-Key": secrets.token_hex(8)}
    job = api.call("POST", "/v1/jobs", document, expect=202, headers=key)
    again = api.call("POST", "/v1/jobs", document, expect=202, headers=key)
    check(again["id"], job["id"], "the same job for the same key")
    api.shared.submitted(job["id"])
    if dice.random() < 0.2:
        answer = api.send("POST", f"/v1/jobs/{job['id']}/cancel")
        content = answer.read()
        if answer.status == 200:
            api.ended(job["id"], "cancelled")
            return
        if answer.status != 409:  # it was quicker
            raise UnexpectedAnswer(f"cancel: {answer.status}: {content[:300]!r}")
    number = api.ended(job["id"])["model_version"]
    api.raw("GET", f"/v1/models/trained/versions/{number}/file")
    api.call("GET", f"/v1/models/trained/versions/{number}")
    if number > 3:
        api.call("DELETE", f"/v1/models/trained/versions/{number - 3}", expect=204)


def programs(api: Api, dice: random.Random) -> None:
    """A circuit of a new structure; one of its expectations is known in closed form."""
    n_qubits = dice.randint(2, 8)
    angle, name = dice.uniform(-3, 3), f"t{dice.randrange(10**6)}"
    circuit = Circuit(n_qubits).rx(Parameter(name), 0)
    for _ in range(dice.randint(1, 20)):
        a, b = dice.sample(range(1, n_qubits), 2) if n_qubits > 2 else (1, 1)
        circuit = (
            circuit.h(a).rz(dice.uniform(-3, 3), b) if a == b else circuit.h(a).cx(a, b).ry(dice.uniform(-3, 3), b)
        )
    observables = (Observable.z(0, n_qubits),)
    program = Program(circuit, params={name: angle}, observables=observables)
    job = api.call("POST", "/v1/programs?wait_s=60", program_to_json(program))
    check(job["status"], "succeeded", f"program {job['id']}")
    found = job["result"]["expectations"][0][0]
    if abs(found - math.cos(angle)) > 1e-6:
        raise UnexpectedAnswer(f"program {job['id']}: expectation {found}, not {math.cos(angle)}")
    api.shared.submitted(job["id"])


def datasets(api: Api, dice: random.Random) -> None:
    """Upload, look at, download and delete a table; a broken one is refused."""
    name = f"table-{secrets.token_hex(4)}"
    n_rows = dice.choice((50, 1_000, 20_000))
    made = add_table(api, name, table(dice, n_rows))
    check(made["n_rows"], n_rows, "rows")
    api.call("GET", f"/v1/datasets/{name}/sheet")
    api.call("GET", "/v1/datasets?limit=10")
    _, content = api.raw("GET", f"/v1/datasets/{name}/file")
    check(content[:4], b"PAR1", "Parquet")
    api.call("DELETE", f"/v1/datasets/{name}", expect=204)
    api.call("GET", f"/v1/datasets/{name}", expect=404)
    broken = b"a,outcome\n1\n2,3,4\n"
    api.call(
        "POST", f"/v1/datasets?name={name}&target=outcome", broken, expect=422, headers={"Content-Type": "text/csv"}
    )


def endpoints(api: Api, dice: random.Random) -> None:
    """Deploy, predict, change the version, canary, roll back, undeploy."""
    name = f"endpoint-{secrets.token_hex(4)}"
    api.call("POST", "/v1/endpoints", {"name": name, "model": "soak", "version": 1}, expect=201)
    row = {"rows": [{column: dice.gauss(0, 1) for column in FEATURES}]}
    path = f"/v1/endpoints/{name}"
    check(api.call("POST", f"{path}/predict", row)["model_version"], 1, "version")
    api.call("PATCH", path, {"version": 2})
    check(api.call("POST", f"{path}/predict", row)["model_version"], 2, "version")
    api.call("PUT", f"{path}/canary", {"percent": 50.0, "version": 1})
    for _ in range(5):
        api.call("POST", f"{path}/predict", row)
    api.call("POST", f"{path}/promote")
    api.call("POST", f"{path}/rollback", {})
    api.call("GET", f"{path}/stats")
    api.call("GET", f"{path}/revisions")
    api.call("DELETE", path, expect=204)
    api.call("POST", f"{path}/predict", row, expect=404)


def mistakes(api: Api, dice: random.Random) -> None:
    """Wrong keys and wrong requests, which get the answers they should."""
    right = api.key
    api.key = f"sp_key_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"
    api.call("GET", "/v1/jobs", expect=401)
    api.key = right
    api.call("GET", f"/v1/jobs/{secrets.token_hex(8)}", expect=404)
    api.call("POST", "/v1/jobs", b"{", expect=400, headers={"Content-Type": "application/json"})
    api.call("POST", "/v1/endpoints/soak/predict", {"rows": [{"a": "x"}]}, expect=422)
    api.call("PUT", "/v1/jobs", {}, expect=405)
    api.key = api.shared.keys["viewer"]
    api.call("POST", "/v1/datasets", {"name": "x", "builtin": "iris"}, expect=403)
    api.key = right
    dice.random()


def streams(api: Api, dice: random.Random) -> None:
    """Read a job's events: to the end, resumed in the middle, or left early."""
    if not api.shared.jobs:
        time.sleep(1)
        return
    job_id = dice.choice(api.shared.jobs)
    headers = {"Accept": "text/event-stream"}
    if dice.random() < 0.5:
        headers["Last-Event-ID"] = "1"
    answer = api.send("GET", f"/v1/jobs/{job_id}/events", headers=headers)
    check(answer.status, 200, "events")
    if dice.random() < 0.3:
        answer.read(20)
        api.close()  # a client that leaves
        return
    kinds = [line[7:].strip() for line in answer.read().decode().splitlines() if line.startswith("event: ")]
    if not kinds or kinds[-1] not in FINAL:
        raise UnexpectedAnswer(f"events of {job_id} end with {kinds[-1:]}")


def people(api: Api, dice: random.Random) -> None:
    """Keys made, used, rotated and revoked; the log of changes."""
    made = api.call("POST", "/v1/keys", {"role": "viewer", "label": "soak"}, expect=201)
    right, api.key = api.key, made["secret"]
    api.call("GET", "/v1/jobs?limit=5")
    api.key = right
    api.call("POST", f"/v1/keys/{made['id']}/rotate", {"grace_s": 0})
    api.call("DELETE", f"/v1/keys/{made['id']}", expect=204)
    api.call("GET", f"/v1/audit?limit={dice.randint(1, 50)}")
    api.call("GET", "/v1/usage")
    api.call("GET", "/v1/models/soak/lineage")
    api.raw("GET", "/openapi.json")
    api.raw("GET", "/metrics")


def batches(api: Api, dice: random.Random) -> None:
    """Predictions from file to file, and their deletion."""
    n_rows = dice.choice((100, 5_000))
    rows = table(dice, n_rows).split(b"\n")
    content = b"\n".join(row.rpartition(b",")[0] for row in rows)  # without the outcome
    made = api.call(
        "POST", "/v1/predictions?model=soak&version=1", content, expect=202, headers={"Content-Type": "text/csv"}
    )
    api.ended(made["id"])
    _, found = api.raw("GET", f"/v1/predictions/{made['id']}/file")
    check(len(found.splitlines()), n_rows + 1, "lines of the batch")
    api.call("DELETE", f"/v1/predictions/{made['id']}", expect=204)


def sweeps(api: Api, dice: random.Random) -> None:
    """A small search."""
    document = {
        "dataset": "soak",
        "name": f"sweep-{secrets.token_hex(4)}",
        "model": "searched",
        "spec": SPEC,
        "space": {"training.learning_rate": [0.01, 0.1]},
        "objective": {"folds": 2},
        "sampler": {"name": "random", "seed": dice.randrange(1000)},
        "n_trials": 2,
    }
    made = api.call("POST", "/v1/sweeps", document, expect=202)
    deadline = time.monotonic() + JOB_S
    while time.monotonic() < deadline:
        sweep = api.call("GET", f"/v1/sweeps/{made['name']}")
        if sweep["status"] in FINAL:
            check(sweep["status"], "succeeded", f"sweep {made['name']}")
            return
        time.sleep(0.5)
    raise UnexpectedAnswer(f"sweep {made['name']} has not ended after {JOB_S:g} s")


#: Actor -> what it does once, with which role, and the pause after it in seconds.
ACTORS: dict[str, tuple[Callable[[Api, random.Random], None], str, float]] = {
    "small predictions": (small_predictions, "predictor", 0.2),
    "small predictions too": (small_predictions, "predictor", 0.3),
    "large predictions": (large_predictions, "predictor", 0.5),
    "inference": (inference, "predictor", 0.2),
    "training": (train, "editor", 2.0),
    "programs": (programs, "editor", 0.5),
    "data sets": (datasets, "editor", 1.0),
    "endpoints": (endpoints, "editor", 1.0),
    "mistakes": (mistakes, "editor", 3.0),
    "streams": (streams, "viewer", 0.5),
    "people": (people, "admin", 2.0),
    "batch predictions": (batches, "editor", 4.0),
    "sweeps": (sweeps, "editor", 30.0),
}


def run_actor(shared: Shared, name: str, seed: int) -> None:
    """Act until told to stop; whatever is not as expected is counted, and the actor goes on."""
    act, role, pause_s = ACTORS[name]
    dice = random.Random(seed)
    api = Api(shared, name, role)
    while not shared.stop.is_set():
        try:
            act(api, dice)
        except UnexpectedAnswer as error:
            shared.wrong(name, str(error))
            api.close()
        except Exception as error:  # a broken connection, an answer of another form: all count
            shared.wrong(name, f"{type(error).__name__}: {str(error)[:300]}")
            api.close()
        if pause_s > 2:
            api.close()  # the server would close a connection that idles, perhaps just when the next request is sent
        shared.stop.wait(pause_s)
    api.close()
