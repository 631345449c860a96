"""Amazon Braket on loopback, by its service model in botocore: what comes in and goes out has the model's shapes.

Program sets are really run, by Braket's own simulator, and their results are put into S3. Faults are put in one request
at a time.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.validate import ParamValidator
from braket.devices import LocalSimulator
from braket.ir.openqasm import ProgramSet
from tests.backends.clouds.loopback import FakeService, Handler, listening

MODEL = ServiceModel(Loader().load_service_model("braket", "service-2"))
DEVICE = "arn:aws:braket:us-west-1::device/qpu/rigetti/Imagined-1"
PLAIN = "arn:aws:braket:::device/quantum-simulator/amazon/Plain"
STATUS_OF = {"ExpiredTokenException": 403}
"""Of errors that every service has, which no model lists."""


def capabilities(with_sets: bool) -> str:
    """What describes a device: Braket's simulator's own description, with a price, as of a processor."""
    document = json.loads(LocalSimulator("braket_sv").properties.json())
    actions = document["action"]
    for name in list(actions):
        if name != "braket.ir.openqasm.program":
            del actions[name]
    if with_sets:
        kind = "braket.ir.openqasm.program_set"
        limits = {"maximumExecutables": 100, "maximumTotalShots": 200_000}
        actions[kind] = {"actionType": kind, "version": ["1"], **limits}
    document["service"] |= {
        "shotsRange": [1, 50_000],
        "deviceCost": {"price": 0.0009, "unit": "shot"},
        "updatedAt": "2026-10-01T00:00:00",
    }
    return json.dumps(document)


class FakeBraket(FakeService):
    """The service: its quantum tasks, what was asked of it, and the faults to come.

    Args:
        put: Stores a file: bucket, key, content.
    """

    def __init__(self, put: Callable[[str, str, str], None]) -> None:
        super().__init__()
        self.put = put
        self.runs: dict[str, dict[str, Any]] = {}
        self.by_token: dict[str, str] = {}
        self.questions_until_done = 1
        self.in_files = False
        self._lock = threading.Lock()
        self._routes = [(one, self._pattern(one)) for one in map(MODEL.operation_model, MODEL.operation_names)]

    @property
    def n_run(self) -> int:
        """How many quantum tasks there are, each of which costs money."""
        return len(self.runs)

    @staticmethod
    def _pattern(operation: OperationModel) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(operation.http["requestUri"])) + "$")

    def route(self, method: str, path: str) -> tuple[OperationModel, dict[str, str]]:
        for operation, pattern in self._routes:
            found = pattern.match(path)
            if found and operation.http["method"] == method:
                return operation, {name: unquote(value) for name, value in found.groupdict().items()}
        raise LookupError(f"{method} {path}")

    def answer(self, operation: OperationModel, asked: dict[str, Any]) -> tuple[int, Any]:
        """Status and document, both checked against the model."""
        report = ParamValidator().validate(asked, operation.input_shape)
        if report.has_errors():
            return self.error("ValidationException", report.generate_report())
        with self._lock:
            status, document = getattr(self, operation.name)(asked)
        if status < 300:
            report = ParamValidator().validate(document, operation.output_shape)
            assert not report.has_errors(), report.generate_report()
        return status, document

    def error(self, code: str, message: str = "injected") -> tuple[int, Any]:
        status = STATUS_OF.get(code) or int(MODEL.shape_for(code).metadata["error"]["httpStatusCode"])
        return status, {"__type": code, "message": message}

    def SearchDevices(self, asked: dict[str, Any]) -> tuple[int, Any]:
        rows = [self._device(arn) for arn in (DEVICE, PLAIN)]
        return 200, {"devices": [{k: v for k, v in row.items() if k != "deviceCapabilities"} for row in rows]}

    def GetDevice(self, asked: dict[str, Any]) -> tuple[int, Any]:
        if asked["deviceArn"] not in (DEVICE, PLAIN):
            return self.error("ResourceNotFoundException")
        return 200, self._device(asked["deviceArn"])

    @staticmethod
    def _device(arn: str) -> dict[str, Any]:
        kind, name = ("QPU", "Imagined-1") if arn == DEVICE else ("SIMULATOR", "Plain")
        return {
            "deviceArn": arn, "deviceName": name, "providerName": "Imagined", "deviceType": kind,
            "deviceStatus": "ONLINE", "deviceCapabilities": capabilities(arn == DEVICE),
        }  # fmt: skip

    def CreateQuantumTask(self, asked: dict[str, Any]) -> tuple[int, Any]:
        token = asked["clientToken"]
        if token in self.by_token:
            arn = self.by_token[token]
            same = self.runs[arn]["asked"] == asked
            return (201, {"quantumTaskArn": arn}) if same else self.error("ValidationException", "token used before")
        programs = ProgramSet.parse_raw(asked["action"]).programs
        if asked["shots"] % len(programs) or not all(len(value) <= 256 for value in asked["tags"].values()):
            return self.error("ValidationException", "shots or tags")
        arn = f"arn:aws:braket:us-west-1:123456789012:quantum-task/{uuid.uuid4()}"
        self.by_token[token] = arn
        self.runs[arn] = {
            "asked": asked,
            "status": "QUEUED",
            "left": self.questions_until_done,
            "at": datetime.now(UTC),
        }
        return 201, {"quantumTaskArn": arn}

    def GetQuantumTask(self, asked: dict[str, Any]) -> tuple[int, Any]:
        arn = asked["quantumTaskArn"]
        if arn not in self.runs:
            return self.error("ResourceNotFoundException", "no such quantum task")
        run = self.runs[arn]
        if run["status"] in ("QUEUED", "RUNNING"):
            run["status"], run["left"] = "RUNNING", run["left"] - 1
            if run["left"] < 0:
                self.store(arn)
                run |= {"status": "COMPLETED", "ended": datetime.now(UTC)}
        told = run["asked"]
        return 200, {
            "quantumTaskArn": arn, "status": run["status"], "deviceArn": told["deviceArn"], "deviceParameters": "{}",
            "shots": told["shots"], "outputS3Bucket": told["outputS3Bucket"],
            "outputS3Directory": f"{told['outputS3KeyPrefix']}/{arn.rpartition('/')[2]}",
            "createdAt": run["at"], "tags": told["tags"],
            **({"endedAt": run["ended"]} if "ended" in run else {}),
            **({"failureReason": "it melted"} if run["status"] == "FAILED" else {}),
        }  # fmt: skip

    def CancelQuantumTask(self, asked: dict[str, Any]) -> tuple[int, Any]:
        arn = asked["quantumTaskArn"]
        if arn not in self.runs:
            return self.error("ResourceNotFoundException", "no such quantum task")
        if self.runs[arn]["status"] in ("COMPLETED", "FAILED"):
            return self.error("ConflictException", "it has ended")
        self.runs[arn]["status"] = "CANCELLED"
        return 200, {"quantumTaskArn": arn, "cancellationStatus": "CANCELLED"}

    def store(self, arn: str) -> None:
        """Run a quantum task's program set and put its result into S3."""
        asked = self.runs[arn]["asked"]
        written = ProgramSet.parse_raw(asked["action"])
        each = asked["shots"] // len(written.programs)
        simulator = LocalSimulator("braket_sv")
        at = f"{asked['outputS3KeyPrefix']}/{arn.rpartition('/')[2]}"
        results = []
        for place, program in enumerate(written.programs):
            found = simulator.run(program, shots=each).result()
            header = {"name": "braket.task_result.program_set_executable_result", "version": "1"}
            order = list(reversed(found.measured_qubits))  # any order is allowed, so not the plain one
            one: Any = {
                "braketSchemaHeader": header, "inputsIndex": 0, "measuredQubits": order,
                "measurements": found.measurements[:, ::-1].tolist(), "measurementProbabilities": None,
            }  # fmt: skip
            if self.in_files:
                self.put(asked["outputS3Bucket"], f"{at}/programs/{place}/0.json", json.dumps(one))
                one = f"programs/{place}/0.json"
            results.append({"executableResults": [one], "source": json.loads(program.json()), "additionalMetadata": {}})
        document = {
            "braketSchemaHeader": {"name": "braket.task_result.program_set_task_result", "version": "1"},
            "programResults": results,
            "taskMetadata": "metadata.json",
            "s3Location": [asked["outputS3Bucket"], at],
        }
        self.put(asked["outputS3Bucket"], f"{at}/results.json", json.dumps(document))


@contextmanager
def serving(fake: FakeBraket) -> Iterator[str]:
    """The URL of the service."""

    class Braket(Handler):
        def _serve(self) -> None:
            at = urlsplit(self.path)
            operation, asked = fake.route(self.command, at.path)
            fault, text = fake.asked(operation.name), self.body()
            sent = {**asked, **parse_qs(at.query), **(json.loads(text) if text else {})}
            assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=key-id/")
            if fault.endswith("Exception"):
                self.reply(*fake.error(fault))
            else:
                self.answer(fake, fault, lambda: fake.answer(operation, sent))

        do_GET = do_POST = do_PUT = _serve

        def reply(
            self, status: int, document: Any, headers: Mapping[str, str] | None = None, share: float = 1.0
        ) -> None:
            kind = {"x-amzn-ErrorType": document["__type"]} if "__type" in document else {}
            super().reply(status, document, kind, share)

    with listening(Braket, fake) as port:
        yield f"http://127.0.0.1:{port}"
