"""Quantum functions: deployed, called at once and as jobs, rolled back, deleted; no worker is held by a queue."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from superpose.circuits import Circuit, Parameter, Program, circuit_to_json
from superpose.errors import (
    BackendUnknownError,
    FunctionCodeError,
    FunctionFileError,
    FunctionInputError,
    FunctionLimitError,
    NotFoundError,
    QasmError,
)
from superpose.sandbox import probe
from superpose.service import CallAnswer, CallRequest, FunctionAsked, JobStatus, Principal, Service, ServiceConfig
from superpose.service.nouns import utc_now

from .conftest import wait_for, working

BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'
TURN = 'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit[1] q; ry(theta) q[0];'
COIN = """
from superpose import Circuit, Parameter

def circuit():
    return Circuit(1).ry(Parameter("theta"), 0)

SHOTS = 100
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
INPUT_SCHEMA = {"type": "object", "properties": {"share": SHARE}, "required": ["share"]}

def pre(input):
    import math
    print("asked for", input["share"])
    return {"theta": 2 * math.asin(math.sqrt(input["share"]))}, {"seed": 7}

def post(result, input):
    print("got it")
    return {"share": result["counts"][0].get("1", 0) / result["shots"], "asked": input["share"]}
"""


def slow(*values: Any) -> Any:
    """A case that the default run leaves out."""
    return pytest.param(*values, marks=pytest.mark.slow)


isolated = pytest.mark.skipif(not probe().holds, reason="this machine has no Landlock or seccomp")


def call(service: Service, principal: Principal, name: str, wait_s: float = 30.0, **asked: Any) -> CallAnswer:
    return asyncio.run(service.calls.call(principal, name, CallRequest(**asked), wait_s=wait_s))


def test_a_circuit_file_becomes_a_function(service: Service, admin: Principal) -> None:
    made = service.functions.deploy(admin, "bell", "bell.qasm", BELL)
    assert (made.version, made.n_versions, made.current.summary["shots"]) == (1, 1, 1_000)
    answer = call(service, admin, "bell", input={}, seed=3)
    assert answer.status == "succeeded"
    counts = answer.output["counts"][0]  # type: ignore[index]
    assert set(counts) == {"00", "11"}
    assert sum(counts.values()) == 1_000
    assert answer.cold
    assert not call(service, admin, "bell", input={}).cold
    assert call(service, admin, "bell", input={}, seed=3, shots=10).output["shots"] == 10  # type: ignore[index]
    service.calls.unload()
    assert call(service, admin, "bell", input={}, seed=3).output == answer.output


def test_expectations_of_a_batch_are_exact(service: Service, admin: Principal) -> None:
    service.functions.deploy(admin, "turn", "turn.qasm", TURN, FunctionAsked(observables=["Z", {"X": 2.0}]))
    angles = [0.0, 0.5, 1.0]
    answer = call(service, admin, "turn", input={"theta": angles})
    wanted = [[math.cos(angle), 2 * math.sin(angle)] for angle in angles]
    for found, row in zip(answer.output["expectations"], wanted, strict=True):  # type: ignore[index]
        assert found == pytest.approx(row, abs=1e-12)
    assert answer.output["shots"] is None  # type: ignore[index]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "theta"),
        ({"theta": "x"}, "input.theta"),
        ({"theta": 1, "phi": 2}, "phi"),
        ({"theta": []}, "input.theta"),
        (None, "object"),
        ({"theta": [1.0] * 10_001}, "at most 10,000"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(service: Service, admin: Principal, given: object, said: str) -> None:
    service.functions.deploy(admin, "turn", "turn.qasm", TURN)
    with pytest.raises(FunctionInputError, match=said):
        call(service, admin, "turn", input=given)


@pytest.mark.parametrize(
    ("file_name", "source", "asked", "error"),
    [
        ("a.txt", BELL, {}, FunctionFileError),
        ("../a.qasm", BELL, {}, FunctionFileError),
        ("a.qasm", "OPENQASM 3.0; what is this", {}, QasmError),
        ("a.qasm", BELL, {"observables": ["ZZZ"]}, FunctionFileError),
        ("a.qasm", BELL, {"observables": ["Q"]}, FunctionFileError),
        ("a.qasm", BELL, {"shots": 0}, FunctionFileError),
        ("a.qasm", BELL, {"shots": 10**9}, FunctionFileError),
        ("a.qasm", BELL, {"backend": "nowhere"}, BackendUnknownError),
    ],
)
def test_files_that_define_no_function_are_refused(
    service: Service, admin: Principal, file_name: str, source: str, asked: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        service.functions.deploy(admin, "bad", file_name, source, FunctionAsked(**asked))
    with pytest.raises(NotFoundError):
        service.functions.get(admin, "bad")


def test_versions_roll_back_and_go(service: Service, admin: Principal, stranger: Principal) -> None:
    one = service.functions.deploy(admin, "f", "f.qasm", BELL)
    again = service.functions.deploy(admin, "f", "f.qasm", BELL)
    assert again.version == 1  # the same content makes no new version
    two = service.functions.deploy(admin, "f", "f.qasm", BELL.replace("h q[0];", "x q[0];"))
    assert (two.version, two.n_versions, two.id) == (2, 2, one.id)
    assert set(call(service, admin, "f", input={}).output["counts"][0]) == {"11"}  # type: ignore[index]
    assert set(call(service, admin, "f", input={}, version=1).output["counts"][0]) == {"00", "11"}  # type: ignore[index]
    back = service.functions.rollback(admin, "f")
    assert (back.version, back.n_versions) == (1, 2)
    assert [version.number for version in service.functions.versions(admin, "f").items] == [2, 1]
    assert "; x q[0];" in service.functions.source(admin, "f", 2)
    with pytest.raises(NotFoundError, match="no version 0"):
        service.functions.rollback(admin, "f")
    with pytest.raises(NotFoundError):
        service.functions.get(stranger, "f")
    service.functions.delete(admin, "f")
    with pytest.raises(NotFoundError):
        call(service, admin, "f", input={})
    left = {path.name for path in (service.config.data_dir / "artifacts").rglob("*") if path.is_file()}
    assert two.current.artifact not in left
    kinds = [entry.action for entry in service.audit.list(admin).items if entry.subject == one.id]
    assert sorted(kind.rpartition(".")[2] for kind in kinds) == ["deleted", "deployed", "deployed", "rolled_back"]


@isolated
def test_python_before_and_after(service: Service, admin: Principal) -> None:
    made = service.functions.deploy(admin, "coin", "coin.py", COIN)
    assert (made.current.summary["pre"], made.current.summary["post"]) == (True, True)
    answer = call(service, admin, "coin", input={"share": 1.0})
    assert answer.output == {"share": 1.0, "asked": 1.0}
    assert answer.logs == "asked for 1.0\ngot it\n"
    half = call(service, admin, "coin", input={"share": 0.5})
    assert 0.3 < half.output["share"] < 0.7  # type: ignore[index]  # seed 7
    assert not half.cold
    with pytest.raises(FunctionInputError, match="share"):
        call(service, admin, "coin", input={"share": 2})
    logs = service.calls.logs(admin, "coin")
    assert [entry["logs"] for entry in logs] == ["asked for 0.5\ngot it\n", "asked for 1.0\ngot it\n"]


@isolated
@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("circuit = 3", FunctionFileError, "ConversionError"),
        ("x = 1", FunctionFileError, "no 'circuit'"),
        slow("circuit = 1 / 0", FunctionFileError, "line 1: ZeroDivisionError"),
        slow("def circuit(:", FunctionFileError, "line 1: SyntaxError"),
        ("import socket\nsocket.socket()", FunctionFileError, "line 2: PermissionError"),
        slow(
            "from superpose import Circuit\ncircuit = Circuit(1)\npre = 3",
            FunctionFileError,
            "'pre' must be a function",
        ),
        slow("from superpose import Circuit\ncircuit = Circuit(1)\nSHOTS = 'many'", FunctionFileError, "SHOTS"),
        (
            "from superpose import Circuit\ncircuit = Circuit(1)\nINPUT_SCHEMA = {'type': 'thing'}",
            FunctionFileError,
            "SCHEMA",
        ),
    ],
)
def test_python_files_that_define_none(
    service: Service, admin: Principal, source: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        service.functions.deploy(admin, "bad", "bad.py", source)


@isolated
@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ("    return {'theta': 1 / 0}", FunctionCodeError, "line 4: ZeroDivisionError"),
        ("    return {'phi': 1}", FunctionCodeError, "theta"),
        slow("    return {'theta': 1}, {'shots': -1}", FunctionCodeError, "shots"),
        slow("    return {'theta': 1}, {'speed': 1}", FunctionCodeError, "speed"),
        slow("    while True: pass", FunctionLimitError, "2 s"),
    ],
)
def test_python_that_fails_in_a_call(
    config: ServiceConfig, tmp_path: Path, body: str, error: type[Exception], said: str
) -> None:
    head = "from superpose import Circuit, Parameter\ncircuit = Circuit(1).ry(Parameter('theta'), 0)\ndef pre(i):\n"
    source = f"{head}{body}\n"
    timeout_s = 2.0 if error is FunctionLimitError else 60.0  # what else is refused, is refused in any time
    with Service.open(ServiceConfig(data_dir=tmp_path / "own", sandbox_timeout_s=timeout_s)) as service:
        from superpose.trust import read_key_file

        admin = service.authenticate(read_key_file(service.admin_key_path))
        service.functions.deploy(admin, "bad", "bad.py", source)
        with pytest.raises(error, match=said):
            call(service, admin, "bad", input=1)
        assert service.calls.logs(admin, "bad")[0]["error"]["code"] == error.code  # type: ignore[index,attr-defined]


@pytest.mark.slow
@isolated
def test_a_job_makes_the_same_call(service: Service, admin: Principal, config: ServiceConfig, kernels: None) -> None:
    service.functions.deploy(admin, "coin", "coin.py", COIN)
    at_once = call(service, admin, "coin", input={"share": 0.25})
    waiting = call(service, admin, "coin", wait_s=0.0, input={"share": 0.25})
    assert (waiting.status, waiting.output) == ("queued", None)
    bad = call(service, admin, "coin", wait_s=0.0, input={"share": 0.25}, seed=1)
    with working(config):
        answer = wait_for(lambda: _succeeded(service.calls.get(admin, "coin", str(waiting.job_id))))
        assert answer.output == at_once.output
        assert answer.logs == at_once.logs
        wait_for(lambda: _succeeded(service.calls.get(admin, "coin", str(bad.job_id))))
    program = service.jobs.list(admin, parent=waiting.job_id).items[0]
    assert (program.kind, program.status) == ("program", "succeeded")


def test_a_long_circuit_becomes_a_job(service: Service, admin: Principal, config: ServiceConfig, kernels: None) -> None:
    circuit = Circuit(20)
    for place in range(140):
        circuit.ry(Parameter("a"), place % 20)
    source = json.dumps(circuit_to_json(circuit))
    service.functions.deploy(admin, "long", "long.json", source, FunctionAsked(observables=["Z" + 19 * "I"]))
    waiting = call(service, admin, "long", wait_s=0.05, input={"a": 0.25})
    assert waiting.status in {"queued", "running", "waiting"}  # no worker is there
    with working(config):
        answer = wait_for(lambda: _succeeded(service.calls.get(admin, "long", str(waiting.job_id))))
    assert answer.output["expectations"] == [[pytest.approx(math.cos(7 * 0.25), abs=1e-9)]]
    assert service.jobs.get(admin, str(waiting.job_id)).progress["fraction"] == 1.0


SLOW = '''
"""A processor with a queue: its results arrive when somebody writes ``arrived`` into its directory."""
import json, os, pathlib
from superpose.backends import LocalBackend
from superpose.circuits import program_from_json, program_to_json

class SlowBackend(LocalBackend):
    home = pathlib.Path(os.environ["SLOW_HOME"])

    @property
    def name(self):
        return "slow"

    def submit(self, program, token):
        with (self.home / "submissions").open("a") as file:
            file.write(token + "\\n")
        (self.home / token).write_text(json.dumps(program_to_json(program)))
        return "slow-" + token

    def fetch(self, provider_job_id):
        if not (self.home / "arrived").exists():
            return None
        return self.run(program_from_json((self.home / provider_job_id.removeprefix("slow-")).read_text()))
'''


def test_logs_outlive_the_server_and_go_with_their_function(tmp_path: Path, kernels: None) -> None:
    """Written together a moment later, at the latest when the service closes; the last 50 of each function."""
    from superpose.service.quantum_functions.logs import KEPT, FunctionLogs
    from superpose.trust import read_key_file

    config = ServiceConfig(data_dir=tmp_path / "own")
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        first, other = (service.functions.deploy(admin, name, "bell.qasm", BELL) for name in ("first", "other"))
        logs = FunctionLogs(service.store.database, utc_now)
        for place in range(KEPT + 5):
            logs.add(first.id, 1, f"call {place}", {"code": "function.raised", "message": "no"} if place == 7 else None)
        logs.add(other.id, 1, "mine", None)
        logs.close()
    with Service.open(config) as service:
        found = service.calls.logs(admin, "first")
        assert [entry["logs"] for entry in found] == [f"call {place}" for place in range(KEPT + 4, 4, -1)]
        assert [entry["error"] for entry in found if entry["error"]] == [{"code": "function.raised", "message": "no"}]
        assert [entry["logs"] for entry in service.calls.logs(admin, "other")] == ["mine"]
        service.functions.delete(admin, "first")
        with service.store.database.read() as connection:
            assert connection.exec_driver_sql("SELECT logs FROM function_logs").scalars().all() == ["mine"]


@isolated
def test_no_process_is_held_while_a_processor_queues(
    service: Service,
    admin: Principal,
    config: ServiceConfig,
    kernels: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A package offers the backend by its entry point; its results arrive later, and ``post`` runs then."""
    home, package = tmp_path / "queue", tmp_path / "package"
    facts = package / "slow_backend-1.0.dist-info"
    for directory in (home, facts):
        directory.mkdir(parents=True)
    (package / "slow_backend_under_test.py").write_text(SLOW)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-backend\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[superpose.backends]\nslow = slow_backend_under_test:SlowBackend\n")
    monkeypatch.setenv("SLOW_HOME", str(home))
    monkeypatch.syspath_prepend(str(package))

    service.functions.deploy(admin, "coin", "coin.py", COIN, FunctionAsked(backend="slow"))
    waiting = call(service, admin, "coin", wait_s=0.01, input={"share": 1.0})
    assert waiting.job_id is not None

    def state(job_id: str) -> tuple[str, str | None]:
        with service.store.database.read() as connection:
            text = "SELECT status, worker_id FROM jobs WHERE id = ?"
            row = connection.exec_driver_sql(text, (job_id,)).one()
            return str(row[0]), row[1]

    with working(config):
        program = wait_for(lambda: next(iter(service.jobs.list(admin, parent=waiting.job_id).items), None))
        wait_for(lambda: state(program.id)[0] == "waiting")
        assert state(str(waiting.job_id)) == ("waiting", None)
        # the one worker is free meanwhile, and no process of the function's Python is left
        other = service.jobs.submit(admin, "program", _program())
        wait_for(lambda: service.jobs.get(admin, other.id).status is JobStatus.SUCCEEDED)
        assert _sandboxes_of(os.getpid()) == []
        (home / "arrived").touch()
        answer = wait_for(lambda: _succeeded(service.calls.get(admin, "coin", str(waiting.job_id))))
    assert answer.output == {"share": 1.0, "asked": 1.0}
    assert answer.logs == "asked for 1.0\ngot it\n"
    assert (home / "submissions").read_text() == program.id + "\n"  # handed over once, however often it was asked for


def test_waiting_calls_are_cancelled_with_their_circuit(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    service.functions.deploy(admin, "bell", "bell.qasm", BELL)
    waiting = call(service, admin, "bell", wait_s=0.0, input={})
    service.jobs.cancel(admin, str(waiting.job_id))
    assert service.calls.get(admin, "bell", str(waiting.job_id)).status == "cancelled"


def test_idle_functions_are_let_go(config: ServiceConfig, tmp_path: Path) -> None:
    from superpose.trust import read_key_file

    with Service.open(ServiceConfig(data_dir=tmp_path / "own", idle_unload_s=0.1, sandbox_idle_s=0.1)) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        service.functions.deploy(admin, "bell", "bell.qasm", BELL)

        async def both() -> tuple[int, int]:
            until_s, loaded = time.monotonic() + 60.0, 0
            while not loaded and time.monotonic() < until_s:  # it may be let go before we look
                await service.calls.call(admin, "bell", CallRequest({}), wait_s=1.0)
                loaded = service.calls.n_loaded
            while service.calls.n_loaded and time.monotonic() < until_s:
                await asyncio.sleep(0.02)
            return loaded, service.calls.n_loaded

        assert asyncio.run(both()) == (1, 0)


def _succeeded(answer: CallAnswer) -> CallAnswer | None:
    assert answer.status not in {"failed", "cancelled"}, answer.error
    return answer if answer.status == "succeeded" else None


def _program() -> dict[str, Any]:
    from superpose.circuits import program_to_json

    return dict(program_to_json(Program(Circuit(1).h(0), shots=10)))


def _sandboxes_of(pid: int) -> list[str]:
    """Processes of users' Python that a process has started."""
    found = subprocess.run(["ps", "-o", "args=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [line for line in found.stdout.splitlines() if "sandbox/child.py" in line]
