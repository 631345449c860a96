"""`superpose models gate` and deploying to production, against a real service; refusals over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superpose import Client
from superpose.client import Endpoint, GateReport, Override
from superpose.errors import ApiError, RequestError

REASON = "Shown at the fair; nothing hangs on it."


@pytest.fixture
def flowers(served: Any, trained: str) -> str:
    """A model of the medical domain whose spec says what it is for, on a name of its own; trained once."""
    with Client(served.url, key_file=served.key_file) as client:
        if "certified" not in [model.name for model in client.models.list()]:
            spec = {
                "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
                "training": {"epochs": 1},
                "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "none"},
                "card": {"domain": "medical", "intended_use": "Sorting flowers.", "limits": "Irises only."},
            }
            job = client.jobs.train(dataset=trained, model="certified", spec=spec)
            assert client.jobs.wait(job.id, timeout_s=120).status == "succeeded"
    return "certified"


@pytest.mark.slow
def test_the_way_to_production_on_the_terminal(at_home: Callable[..., Any], flowers: str, tmp_path: Path) -> None:
    said = at_home("models", "gate", flowers)
    assert said.code == 1
    assert said.out.splitlines()[-2:] == [
        "Not for clinical use.",
        "certified version 1: not ready for production: 1 missing",
    ]
    refused = at_home("deploy", flowers, "--production")
    assert refused.code == 1 and refused.err.startswith("error[service.promotion]: Version 1 of model 'certified'")
    assert "--no-subgroups REASON" in refused.err

    unseen = at_home("deploy", flowers, "--production", "--override", "\u200b" * 12, "--name", "fair")
    assert unseen.code == 1 and "a reason that can be read" in unseen.err, unseen.err

    overridden = at_home("deploy", flowers, "--production", "--override", REASON, "--name", "fair")
    assert overridden.code == 0 and f"in production without subgroups: {REASON}" in overridden.out
    shown = at_home("endpoints", "show", "fair").out
    assert "production" in shown and REASON in shown and "Not for clinical use." in shown
    left = at_home("endpoints", "update", "fair", "--stage", "development")
    assert left.code == 0 and "in production" not in left.out
    assert "Let into production without subgroups** at endpoint fair, at 20" in at_home("models", "card", flowers).out
    assert "overridden at fair by key_" in at_home("models", "gate", flowers).out

    stated = at_home("models", "annotate", flowers, "--version", "latest", "--no-subgroups", "All grew in one bed.")
    assert stated.code == 0 and "All grew in one bed." in stated.out
    ready = at_home("models", "gate", flowers, "--json")
    assert ready.code == 0 and ready.json["ready"] is True
    deployed = at_home("deploy", flowers, "--production", "--json").json
    assert (deployed["stage"], deployed["override"], deployed["notice"]) == (
        "production",
        None,
        "Not for clinical use.",
    )
    card = at_home("models", "card", flowers).out
    for title in ("## Calibration", "## What predictions stand on", "## Energy and cost", "## Overrides"):
        assert title in card, title
    assert card.splitlines()[2] == "**Not for clinical use.**"
    rows = tmp_path / "rows.json"
    rows.write_text("[[5.1, 3.5, 1.4, 0.2]]")
    for command in ("predict", "explain"):
        answered = at_home(command, flowers, rows)
        assert "Not for clinical use." in answered.out + answered.err


@pytest.mark.slow
def test_the_client_speaks_of_the_gate_in_values_and_of_roles(served: Any, trained: str) -> None:
    with Client(served.url, key_file=served.key_file) as client:
        report = client.models.gate(trained)
        assert isinstance(report, GateReport) and not report.ready
        assert {"intended_use", "limits"} <= set(report.missing)
        missing = {one.name: one.how for one in report.requirements if not one.met}
        assert tuple(missing) == report.missing and all(missing.values())
        assert "intended_use" in report._repr_html_()
        with pytest.raises(ApiError) as caught:
            client.endpoints.create("gated", trained, stage="production")
        assert (caught.value.status, caught.value.problem_code) == (409, "service.promotion")
        listed: Any = caught.value.details["missing"]
        assert [one["name"] for one in listed] == list(report.missing)
        with pytest.raises(RequestError, match="Statements are about a version"):
            client.models.edit(trained, statements={"limits": "None."})
        editor = client.keys.create(role="editor")
        with Client(served.url, key=editor.secret) as other, pytest.raises(ApiError) as refused:
            other.endpoints.create("gated", trained, stage="production", override=REASON)
        assert (refused.value.status, refused.value.problem_code) == (403, "auth.forbidden")
        for unseen in ("\x07" * 12, "\u200b" * 12):
            with pytest.raises(ApiError, match="a reason that can be read") as refused:
                client.endpoints.create("gated", trained, stage="production", override=unseen)
            assert refused.value.details["field"] == "override"
        made = client.endpoints.create("gated", trained, stage="production", override=REASON)
        assert isinstance(made, Endpoint) and isinstance(made.override, Override)
        assert made.override.missing == report.missing
        found = client.models.gate(trained).overrides
        assert [(one.endpoint, one.reason) for one in found] == [("gated", REASON)]
        with pytest.raises(ApiError, match="development or production"):
            client.endpoints.update("gated", stage="live")
        assert client.endpoints.update("gated", stage="development").stage == "development"
        client.endpoints.delete("gated")


@pytest.mark.slow
def test_medical_data_make_medical_models_over_every_door(
    served: Any, at_home: Callable[..., Any], tmp_path: Path
) -> None:
    """A table of patients, said to be medical on the terminal; its spec says nothing of it."""
    rows = "\n".join(f"{i % 7},{(i * i) % 11},{'ill' if i % 3 else 'well'}" for i in range(60))
    (tmp_path / "ward.csv").write_text(f"age,dose,outcome\n{rows}\n")
    added = at_home("datasets", "add", tmp_path / "ward.csv", "--target", "outcome", "--domain", "medical", "--json")
    assert added.code == 0 and added.json["domain"] == "medical"
    assert "medical" in at_home("datasets", "show", "ward").out
    spec = {
        "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
        "training": {"epochs": 1},
        "evaluation": {"n_splits": 2, "controls": ["frozen"], "baseline": "none"},
    }
    with Client(served.url, key_file=served.key_file) as client:
        assert client.datasets.get("ward").domain == "medical"
        assert client.datasets.add_builtin("blooms", "iris", domain="medical").domain == "medical"
        job = client.jobs.train(dataset="ward", model="ward", spec=spec)
        assert client.jobs.wait(job.id, timeout_s=120).status == "succeeded"
        client.endpoints.create("ward", model="ward")
        assert client.endpoints.get("ward").notice == "Not for clinical use."
        assert client.predict("ward", [[3, 4]]).notice == "Not for clinical use."
        many = at_home("predict-file", "ward", tmp_path / "ward.csv", tmp_path / "answers.csv", "--json")
        assert many.code == 0 and many.json["result"]["notice"] == "Not for clinical use."
        assert "Not for clinical use." in at_home("predictions", "show", many.json["id"]).err
        missing = client.models.gate("ward").missing
        assert "subgroups" in missing, "slices by subgroup, or a reason why there are none"
        with pytest.raises(ApiError) as refused:
            client.endpoints.create("clinic", model="ward", stage="production")
        assert refused.value.problem_code == "service.promotion"
        with pytest.raises(ApiError) as caught:
            client.datasets.add(tmp_path / "ward.csv", target="outcome", domain="moon")
        assert caught.value.status == 422 or "domain" in str(caught.value)
    assert at_home("models", "card", "ward").out.splitlines()[2] == "**Not for clinical use.**"
