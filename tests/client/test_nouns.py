"""Nouns: typed, frozen, and safe to show."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from superpose.client import (
    Client,
    Dataset,
    Endpoint,
    Event,
    Explanation,
    Job,
    Key,
    Listing,
    Model,
    ModelVersion,
    NewKey,
    Prediction,
)
from superpose.errors import DatasetFormatError, KeyFileError, ProtocolError

AT = "2026-03-01T10:00:00.250000Z"
JOB: dict[str, Any] = {
    "id": "job_abc",
    "kind": "train",
    "status": "running",
    "attempt": 2,
    "priority": 0,
    "created_at": AT,
    "started_at": AT,
    "finished_at": None,
    "dataset": "patients",
    "model": "triage",
    "model_version": None,
    "progress": {"epoch": 3},
    "error": None,
    "result": None,
    "a_later_release_says": "more",
}
METRIC = {"mean": 0.97, "low": 0.95, "high": 0.99, "values": [0.96, 0.98]}
ROW = {"label": "hybrid <b>", "n_params": 120, "n_trainable": 120, "metrics": {"accuracy": METRIC, "auc": METRIC}}
VERSION: dict[str, Any] = {
    "model": "triage",
    "version": 3,
    "digest": "ab" * 32,
    "job_id": "job_abc",
    "created_at": AT,
    "metrics": {"accuracy": 0.97},
    "evaluation": {"models": {"hybrid": ROW, "baseline": ROW, "controls": {"frozen": ROW}}, "verdict": "undecided <i>"},
    "manifest": {},
}


def test_job_reads_times_as_aware_and_leaves_unknown_members_alone() -> None:
    job = Job.from_json(JOB)
    assert job.created_at == datetime(2026, 3, 1, 10, 0, 0, 250_000, tzinfo=UTC)
    assert (job.finished, job.succeeded, job.progress["epoch"]) == (False, False, 3)
    assert Job.from_json({**JOB, "status": "failed"}).finished
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.status = "failed"  # type: ignore[misc]
    assert json.loads(json.dumps(job.to_dict()))["created_at"] == "2026-03-01T10:00:00.250000+00:00"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": 3}, "job.id in the service's answer is an integer, expected a string"),
        ({"attempt": True}, "job.attempt in the service's answer is a boolean"),
        ({"created_at": "yesterday"}, "expected an ISO 8601 time"),
        ({"created_at": "2026-03-01T10:00:00"}, "expected an ISO 8601 time"),
        ({"progress": []}, "job.progress in the service's answer is an array"),
    ],
)
def test_a_surprising_answer_is_a_protocol_error(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        Job.from_json({**JOB, **change})


def test_an_absent_member_and_another_kind_of_document() -> None:
    with pytest.raises(ProtocolError, match=r"job\.id in the service's answer is nothing"):
        Job.from_json({})
    with pytest.raises(ProtocolError, match="an array where a job object belongs"):
        Job.from_json([JOB])


def test_models_take_versions_as_numbers_or_objects() -> None:
    model = Model.from_json({"name": "triage", "versions": [{"version": 2}, {"version": 1}], "latest": 2})
    assert (model.versions, model.latest) == ((1, 2), 2)
    assert Model.from_json({"name": "t", "versions": [1, 2]}).latest == 2
    with pytest.raises(ProtocolError, match="not a version number"):
        Model.from_json({"name": "t", "versions": ["one"]})


def test_notebook_displays_are_escaped() -> None:
    column = {"name": "<script>", "kind": "number", "unit": "mm", "n_missing": 0}
    dataset = Dataset.from_json(
        {
            "id": "ds_a",
            "name": "a&b",
            "format": "csv",
            "n_rows": 10,
            "n_features": 1,
            "target": "<t>",
            "classes": ["<0>", "1"],
            "columns": [column],
            "digest": "00",
            "created_at": AT,
        }
    )
    endpoint = Endpoint.from_json(
        {
            "name": "<e>",
            "model": "m",
            "version": 1,
            "state": "loaded",
            "created_at": AT,
            "url": "/v1/endpoints/e/predict",
        }
    )
    prediction = Prediction.from_json(
        {
            "model": "<m>",
            "model_version": 1,
            "request_id": "r",
            "classes": ["<a>", "b"],
            "probabilities": [[0.25, 0.75]],
            "predictions": ["b"],
        }
    )
    event = Event.from_json({"seq": 1, "at": AT, "kind": "log", "data": {"text": "<x>"}})
    shown = [
        noun._repr_html_()
        for noun in (dataset, endpoint, prediction, event, ModelVersion.from_json(VERSION), Listing([endpoint]))
    ]
    for html in shown:
        assert html.startswith("<table>")
        for raw in ("<script>", "<t>", "<0>", "<e>", "<m>", "<a>", "<x>", "<b>", "<i>"):
            assert raw not in html
    assert "0.970 [0.950, 0.990]" in shown[4]
    assert "undecided &lt;i&gt;" in shown[4]
    assert Listing[Endpoint]()._repr_html_() == "<p>nothing here</p>"
    assert len(prediction) == 1


def test_a_new_keys_secret_is_shown_nowhere_and_written_privately(tmp_path: Path) -> None:
    secret = "sp_key_abcdefghijkl_" + "x" * 43
    key = Key.from_json(
        {"id": "key_abcdefghijkl", "project": "p", "role": "viewer", "label": "", "created_at": AT, "expires_at": AT}
    )
    new = NewKey(key, secret)
    assert key.expires_at is not None
    for text in (repr(new), str(new), new._repr_html_(), json.dumps(new.to_dict())):
        assert secret not in text
        assert "key_abcdefghijkl" in text
    path = new.write(tmp_path / "k.key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() == secret
    with pytest.raises(KeyFileError, match="exists already"):
        new.write(path)


def test_a_prediction_has_what_was_asked_for_and_nothing_else() -> None:
    document: dict[str, Any] = {
        "model": "m",
        "model_version": 1,
        "request_id": "req_1",
        "classes": ["a", "b"],
        "probabilities": [[0.4, 0.6]],
        "predictions": ["b"],
    }
    assert Prediction.from_json(document).to_dict() == {**document, "unknown_categories": {}}
    asked = {
        "prediction_sets": [["b", "a"]],
        "coverage": 0.9,
        "predictions": [None],
        "abstained": ["the prediction set has 2 classes: b, a"],
        "novelty": [1.5],
        "novel": [False],
        "novelty_threshold": 4.0,
    }
    found = Prediction.from_json(document | asked)
    assert found.predictions == (None,)
    assert found.to_dict() == {**document, **asked, "unknown_categories": {}}
    assert "–" in found._repr_html_()


def test_explain_takes_no_argument_that_it_would_forget() -> None:
    with Client("http://127.0.0.1:9", key="sp_unused") as client, pytest.raises(TypeError, match="no argument 'fixed'"):
        client.explain("triage", [[1.0]], counterfactuals=1, fixed=["age"])  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["Herz Daten.csv", "größe.csv", "_x.csv"])
def test_a_file_whose_name_no_data_set_may_have_is_told_to_be_given_another(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("age,ill\n61,yes\n")
    with (
        Client("http://127.0.0.1:9", key="sp_unused") as client,
        pytest.raises(DatasetFormatError, match="Say another: name=, or --name on the command line"),
    ):
        client.datasets.add(tmp_path / name, target="ill")


def test_what_is_no_file_is_told_how_to_become_one() -> None:
    frame = pd.DataFrame({"age": [61], "ill": ["yes"]})
    with Client("http://127.0.0.1:9", key="sp_unused") as client:
        with pytest.raises(DatasetFormatError, match=r"got DataFrame\. Of a data frame: frame\.to_parquet"):
            client.datasets.add(frame, target="ill")  # type: ignore[arg-type]
        with pytest.raises(DatasetFormatError, match=r"or a folder of images, got list\.$"):
            client.datasets.add([[61, "yes"]], target="ill")  # type: ignore[arg-type]


def test_an_explanation_shows_what_a_calibrated_model_answers_with() -> None:
    row = {
        "class": "ill", "probability": 0.91, "typical_probability": 0.5, "attributions": {"age": 0.41},
        "completeness_error": 0.0,
    }  # fmt: skip
    document = {"model": "triage", "model_version": 1, "method": "occlusion", "rows": [row]}
    plain = Explanation.from_json(document)
    assert plain.rows[0].answered == 0.91 and plain.rows[0].calibrated_probability is None
    assert plain.rows[0].sampling_error is None
    drawn = Explanation.from_json(document | {"rows": [row | {"sampling_error": 0.03}]})
    assert drawn.rows[0].sampling_error == drawn.to_dict()["rows"][0]["sampling_error"] == 0.03
    found = Explanation.from_json(document | {"rows": [row | {"calibrated_probability": 0.73}]})
    assert found.rows[0].answered == 0.73 and found.to_dict()["rows"][0]["calibrated_probability"] == 0.73
    assert "0.73" in found._repr_html_() and "0.91" not in found._repr_html_()
