"""What a training job would take, over HTTP, by the client and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from superpose.cli import main
from superpose.client import Client
from superpose.client.nouns import Job
from superpose.client.sweeps import Sweep
from superpose.errors import ApiError, ProtocolError
from superpose.service import ServiceConfig

from .conftest import Api, running

pytest.importorskip("torch")

SPEC: dict[str, Any] = {
    "model": {"n_qubits": 2},
    "training": {"epochs": 3},
    "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "none"},
}


SWEEP: dict[str, Any] = {
    "spec": SPEC,
    "space": {"model.n_qubits": {"int": [2, 4]}, "training.epochs": [3, 300]},
    "objective": {"folds": 2},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service without a worker: what is submitted waits."""
    with running(ServiceConfig(data_dir=tmp_path_factory.mktemp("priced") / "data", workers=0)) as api:
        yield api


@pytest.fixture(scope="module")
def client(home: Api) -> Iterator[Client]:
    with Client(home.url, key=home.admin_key) as made:
        made.datasets.add_builtin("iris")
        yield made


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (path := tmp_path / "spec.json").write_text(json.dumps(SPEC))
    return str(path)


@pytest.fixture
def sweep(tmp_path: Path) -> str:
    (path := tmp_path / "sweep.json").write_text(json.dumps({**SWEEP, "dataset": "iris", "name": "s", "model": "m"}))
    return str(path)


def command(home: Api, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a command that succeeds prints."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")])
    told = capsys.readouterr()
    assert ended.value.code == 0, told.err
    return told.out, told.err


def test_a_spec_is_estimated_by_the_client_and_on_the_command_line(
    client: Client, home: Api, spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    quote = client.jobs.estimate(dataset="iris", spec=SPEC)
    assert set(quote["estimate"]["parts"]) == {"hybrid", "frozen", "rest"} and quote["estimate"]["cpu_s"] > 0
    assert (quote["kind"], quote["backend"], quote["max_seconds"], quote["remarks"]) == ("train", "local", None, [])
    assert set(client.jobs.estimate(dataset="iris")["estimate"]["parts"]) > {"classical_twin", "baseline"}
    words = ["train", spec, "--dataset", "iris", "--estimate"]
    out, _ = command(home, *words, "--json", capsys=capsys)
    assert json.loads(out) == quote
    out, _ = command(home, *words, "--max-seconds", "500", capsys=capsys)
    assert out.startswith(f"about {quote['estimate']['cpu_s']:,.3g} s of processor time (rest ")
    assert out.endswith("set aside when submitted: $0.00, for at most 500 s of workers\n")
    shots = ["--backend", "local", "--shots", "50"]
    out, _ = command(home, *words, *shots, "--json", capsys=capsys)
    assert json.loads(out)["estimate"]["cpu_s"] > quote["estimate"]["cpu_s"]
    assert not client.jobs.list()


def test_a_sweep_is_estimated_by_the_client_and_on_the_command_line_and_keeps_that(
    client: Client, home: Api, sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    quote = client.sweeps.estimate(SWEEP, dataset="iris")
    expected = quote["estimate"]
    assert (quote["kind"], quote["max_seconds"], quote["remarks"]) == ("sweep", None, [])
    assert set(expected["parts"]) == {"trials", "final training"} and expected["n_trials"] == 20
    assert expected["least_cpu_s"] < expected["cpu_s"] < expected["most_cpu_s"]
    out, _ = command(home, "sweep", sweep, "--estimate", "--json", capsys=capsys)
    assert json.loads(out) == quote
    told = f"{expected['least_cpu_s']:.3g} to {expected['most_cpu_s']:.3g} s, as results decide"
    out, _ = command(home, "sweep", sweep, "--estimate", capsys=capsys)
    assert out.startswith(f"about {expected['cpu_s']:.3g} s of processor time (") and told in out
    assert out.endswith(
        "set aside when submitted: $0.00, and as much for each trial and the final training when it begins\n"
    )
    assert not client.sweeps.list()
    _, err = command(home, "sweep", sweep, "--detach", capsys=capsys)
    assert "sweep s: expected to take about" in err
    made = client.sweeps.get("s")
    assert (made.estimate, made.remarks) == (expected, ()) == (client.jobs.get(made.job).estimate, made.remarks)
    for words in (("sweeps", "show", "s"), ("jobs", "show", made.job)):
        shown, _ = command(home, *words, capsys=capsys)
        assert told in " ".join(shown.split())
    old = {name: value for name, value in made.to_dict().items() if name not in ("estimate", "remarks")}
    assert (Sweep.from_json(old).estimate, Sweep.from_json(old).remarks) == (None, ())
    client.sweeps.cancel("s")


def test_what_may_not_end_in_time_is_said_at_every_door(
    client: Client, home: Api, spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (remark,) = client.jobs.estimate(dataset="iris", spec=SPEC, max_seconds=0.01)["remarks"]
    assert remark["code"] == "job.may_not_end" and "raise max_seconds to" in remark["message"]
    words = ["train", spec, "--dataset", "iris", "--max-seconds", "0.01"]
    out, _ = command(home, *words, "--estimate", capsys=capsys)
    assert remark["message"] in out
    out, err = command(home, *words, "--detach", "--json", capsys=capsys)
    job = client.jobs.get(json.loads(out)["id"])
    assert job.remarks == (remark,) and job.status == "queued"
    assert f"job {job.id}: {remark['message']}" in err and f"job {job.id}: expected to take about" in err
    shown, _ = command(home, "jobs", "show", job.id, capsys=capsys)
    assert "may fail with service.job_time" in " ".join(shown.split())
    client.jobs.cancel(job.id)


def test_where_nobody_estimates_the_reason_is_said(
    client: Client, home: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private = {**SPEC, "privacy": {"epsilon": 5.0}}
    quote = client.jobs.estimate(dataset="iris", spec=private)
    assert quote["estimate"] is None and quote["remarks"][0]["code"] == "job.not_estimated"
    (path := tmp_path / "private.json").write_text(json.dumps(private))
    out, _ = command(home, "train", str(path), "--dataset", "iris", "--estimate", capsys=capsys)
    assert out.startswith("No estimate: private training") and "set aside when submitted: $0.00" in out


def test_requests_that_ask_for_nothing_or_for_two_things_are_refused(client: Client, home: Api) -> None:
    def refused(**document: Any) -> str:
        with pytest.raises(ApiError) as found:
            client.jobs._estimate({"dataset": "iris", **document})
        assert found.value.problem_code == "service.request"
        return found.value.message

    assert "of a template, or of a sweep; got none" in refused()
    assert "or of a sweep; got spec and template" in refused(spec={}, template="demand")
    assert "or of a sweep; got spec and sweep" in refused(spec={}, sweep=SWEEP)
    assert "Options are a template's" in refused(spec={}, options={})
    assert "Options are a template's" in refused(sweep=SWEEP, options={})
    assert "job_seconds. Leave it out" in refused(sweep=SWEEP, max_seconds=5)
    assert "colour" in refused(sweep={**SWEEP, "colour": "red"})
    with pytest.raises(ApiError, match=r"model\.n_qubitz"):
        client.jobs.estimate(dataset="iris", spec={"model": {"n_qubitz": 2}})
    with pytest.raises(ApiError, match="nothing"):
        client.jobs.estimate(dataset="nothing", spec=SPEC)
    with pytest.raises(ApiError, match="nobody"):
        client.jobs.estimate(dataset="iris", parent="nobody:1")


def test_an_estimate_without_registered_data_is_refused_here(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", spec, "--estimate"])
    assert ended.value.code == 2 and "--estimate needs --dataset NAME" in capsys.readouterr().err


def test_a_client_reads_jobs_without_remarks_and_refuses_remarks_that_are_none(client: Client) -> None:
    job = client.jobs.train(dataset="iris", spec=SPEC)
    client.jobs.cancel(job.id)
    document = job.to_dict()
    assert Job.from_json({name: value for name, value in document.items() if name != "remarks"}).remarks == ()
    with pytest.raises(ProtocolError):
        Job.from_json({**document, "remarks": ["soon"]})
