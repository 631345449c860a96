"""Problems from logistics as durable jobs: checked when they come in, solved once, told as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from superpose.errors import ConflictError, ForbiddenError, ProblemError, ProblemFormatError, SuperposeError
from superpose.service import AskedSolution, JobStatus, Principal, Role, Service, ServiceConfig

from .conftest import ended, wait_for, working

KNAPSACK = {"kind": "knapsack", "values": [6, 10, 12], "weights": [1, 2, 3], "capacity": 5}
FILE = {"file": "small", "text": "3 5\n6 1\n10 2\n12 3\n", "reference": 22}


@pytest.fixture
def config(tmp_path: Path, kernels: None) -> ServiceConfig:
    return ServiceConfig(data_dir=tmp_path / "data", progress_s=0.0)


def asked(problem: Any = KNAPSACK, **more: Any) -> AskedSolution:
    return AskedSolution(problem=problem, **more)


def test_a_problem_is_solved_and_its_file_has_the_whole_answer(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    options = {"layers": 1, "time_limit_s": 5, "seed": 3}
    made = [service.solutions.submit(admin, asked(one, options=options)) for one in (KNAPSACK, FILE)]
    with working(config):
        for one in made:
            ended(service, one.job)
    for one in made:
        found = service.solutions.get(admin, one.job.id)
        assert found.job.status is JobStatus.SUCCEEDED and found.job.result["value"] == 22.0
        assert (found.job.progress["stage"], found.job.progress["fraction"]) == ("solved with qaoa", 1.0)
        assert found.job.result["solution"] and "verdict" in found.job.result
        events = service.store.events(one.job.id)
        told = [event.data for event in events if event.kind == "progress"]
        fractions = [data["fraction"] for data in told]
        assert fractions == sorted(fractions) and {0.0, 0.2, 0.4, 0.6, 0.8, 1.0} <= set(fractions)
        assert "beside it coin flips, 3 of 5 methods" in [data["stage"] for data in told]
        _, stored = service.solutions.file(admin, one.job.id)
        answer = json.loads(b"".join(stored.chunks(0, stored.n_bytes)))
        assert answer["options"]["seed"] == 3 and len(answer["methods"]) > 2
        assert answer["methods"][0]["method"] == "qaoa" and answer["penalties"]["terms"]
    listed = service.solutions.list(admin).items
    assert [one.summary()["n_variables"] for one in listed] == [3, 3]
    assert listed[0].summary()["name"] == "small"


def towns(n: int) -> dict[str, Any]:
    random = Random(0)
    at = [complex(random.random(), random.random()) for _ in range(n)]
    return {"kind": "tsp", "distances": [[abs(a - b) for a in at] for b in at]}


def graph(n: int, m: int) -> dict[str, Any]:
    edges = Random(0).sample([(i, j) for i in range(n) for j in range(i)], m)
    return {"file": "graph", "text": "\n".join([f"{n} {m}", *(f"{i + 1} {j + 1} 1" for i, j in edges)])}


@pytest.mark.parametrize(
    ("method", "problem", "needs"),
    [
        ("qaoa", towns(8), "superpose"),
        ("classical", towns(80), "ortools"),
        ("classical", graph(200, 2000), "dwave.samplers"),
    ],
    ids=["qaoa", "routing", "tabu"],
)
def test_a_job_that_is_cancelled_ends_long_before_its_solver_would(
    service: Service, admin: Principal, config: ServiceConfig, method: str, problem: dict[str, Any], needs: str
) -> None:
    pytest.importorskip(needs, reason="needs superpose[optimization]")
    options = {"time_limit_s": 3600, "max_rounds": 1_000_000, "compare": False, "layers": 1}
    made = service.solutions.submit(admin, asked(problem, method=method, options=options))
    with working(config):
        wait_for(lambda: service.store.get(made.job.id).status is JobStatus.RUNNING)
        service.jobs.cancel(admin, made.job.id)
        ended(service, made.job)
    assert service.solutions.get(admin, made.job.id).job.status is JobStatus.CANCELLED


def test_what_has_no_feasible_solution_fails_with_its_reason(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    impossible = {
        "kind": "quadratic",
        "linear": [1, 1],
        "constraints": [{"name": "c", "indices": [0, 1], "coefficients": [1, 1], "relation": "==", "bound": 3}],
    }
    try:
        made = service.solutions.submit(admin, asked(impossible, options={"compare": False, "time_limit_s": 2}))
    except SuperposeError as error:
        assert error.code.startswith("optimization")  # refused before anything runs is as good
        return
    with working(config):
        ended(service, made.job)
    failed = service.solutions.get(admin, made.job.id).job
    assert failed.status is JobStatus.FAILED and failed.error is not None
    assert failed.error["code"].startswith("optimization") and failed.error["message"]


@pytest.mark.parametrize(
    ("problem", "more", "error", "said"),
    [
        ({}, {}, ProblemFormatError, 'with "kind"'),
        ({"file": "a.tsp"}, {}, ProblemFormatError, '"text"'),
        ({"file": "a.tsp", "text": "x", "path": "/"}, {}, ProblemFormatError, '"file"'),
        ({"file": "a.tsp", "text": "x"}, {}, ProblemFormatError, "a.tsp"),
        ({"kind": "sudoku"}, {}, ProblemFormatError, "kind"),
        (KNAPSACK, {"method": "magic"}, ProblemError, "method is one of"),
        (KNAPSACK, {"options": {"depth": 3}}, ProblemError, "No such option: 'depth'"),
        (KNAPSACK, {"options": {"layers": "3"}}, ProblemError, "layers is 2 by default"),
        (KNAPSACK, {"options": {"layers": True}}, ProblemError, "layers is 2 by default"),
        (KNAPSACK, {"options": {"layers": 0}}, ProblemError, "layers must be between 1 and 1,000"),
        (KNAPSACK, {"options": {"shots": 10**12}}, ProblemError, "shots must be between 1 and 1,000,000"),
        (KNAPSACK, {"options": {"backend": "ibm:ibm_fez"}}, ProblemError, "this machine's engine"),
        (KNAPSACK, {"options": {"time_limit_s": 4000}}, ProblemError, "3600 s at most"),
    ],
)
def test_what_cannot_be_solved_is_refused_at_the_door(
    service: Service, admin: Principal, problem: Any, more: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        service.solutions.submit(admin, asked(problem, **more))
    assert service.solutions.list(admin).items == ()


def test_files_beside_a_name_are_never_looked_at(
    service: Service, admin: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vrp = (
        "NAME : a\nTYPE : CVRP\nDIMENSION : 3\nEDGE_WEIGHT_TYPE : EUC_2D\nCAPACITY : 5\nNODE_COORD_SECTION\n"
        "1 0 0\n2 3 4\n3 6 8\nDEMAND_SECTION\n1 0\n2 2\n3 2\nDEPOT_SECTION\n1\n-1\nEOF\n"
    )
    (tmp_path / "a.sol").write_text("Route #1: 1\nRoute #2: 2\nRoute #3: 3\nRoute #4: 4\nCost 1.5\n")
    monkeypatch.chdir(tmp_path)
    for name in ("a.vrp", f"{tmp_path}/a.vrp", "../a.vrp"):
        made = service.solutions.submit(admin, asked({"file": name, "text": vrp}))
        assert made.job.payload["name"] == "a"
        assert made.job.payload["n_variables"] == 4  # two vehicles; the solution beside it has four


def test_one_key_one_job_and_only_for_editors(service: Service, admin: Principal) -> None:
    first = service.solutions.submit(admin, asked(idempotency_key="k"))
    assert service.solutions.submit(admin, asked(idempotency_key="k")).job.id == first.job.id
    with pytest.raises(ConflictError):
        service.solutions.submit(admin, asked(method="vqe", idempotency_key="k"))
    viewer = Principal(project=admin.project, key_id="v", role=Role.VIEWER)
    with pytest.raises(ForbiddenError):
        service.solutions.submit(viewer, asked())
