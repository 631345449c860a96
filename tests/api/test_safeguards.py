"""Prediction sets, abstaining and novelty over both doors; the default answer stays as it is."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from superpose.learning import Predictor
from superpose.learning.calibration.asking import Asked
from superpose.service import ServiceConfig, Worker

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.1, 2.9, 4.7, 1.4], [6.0, 2.7, 5.0, 1.7], [60.0, 2.7, 5.0, 1.7]]
SPEC = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 8, "learning_rate": 0.1},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
    "calibration": {
        "method": "temperature",
        "conformal": {"coverage": 0.9, "method": "aps"},
        "abstain": {"by": "probability", "below": 0.9},
    },
}


@pytest.fixture(scope="module")
def guarded(deployed: Any) -> Iterator[Any]:
    """A server with an endpoint ``guarded`` whose model has all safeguards, and ``iris``, whose has a novelty score."""
    worker = Worker(ServiceConfig(data_dir=deployed.data_dir))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        body = {"kind": "train", "dataset": "flowers", "model": "guarded", "spec": SPEC, "priority": 10}
        job = deployed.call("POST", "/v1/jobs", body).json
        while job["finished_at"] is None:
            time.sleep(0.1)
            job = deployed.call("GET", f"/v1/jobs/{job['id']}").json
        assert job["status"] == "succeeded", job["error"]
    finally:
        worker.stop()
        thread.join(timeout=120)
    assert deployed.call("POST", "/v1/endpoints", {"name": "guarded", "model": "guarded"}).status == 201
    yield deployed
    deployed.call("DELETE", "/v1/endpoints/guarded")
    deployed.call("DELETE", "/v1/models/guarded")


@pytest.fixture(scope="module")
def predictor(guarded: Any) -> Predictor:
    return Predictor.load(guarded.call("GET", "/v1/models/guarded/versions/1/file").body)


def predict(api: Any, name: str = "guarded", **asked: Any) -> Any:
    return api.call("POST", f"/v1/endpoints/{name}/predict", {"rows": ROWS, **asked})


def test_the_answer_is_the_predictors(guarded: Any, predictor: Predictor) -> None:
    plain = predict(guarded).json
    assert set(plain) == {"model", "model_version", "request_id", "classes", "probabilities", "predictions"}
    found = predict(guarded, prediction_set=True, abstain=True, novelty=True).json
    probabilities, details = predictor.detailed(ROWS, Asked(True, True, True))
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-12)
    np.testing.assert_allclose(plain["probabilities"], probabilities, atol=1e-12)
    assert details.sets is not None
    assert details.reasons is not None
    assert details.novelty is not None
    assert found["prediction_sets"] == [list(row) for row in details.sets]
    assert found["coverage"] == 0.9
    assert found["abstained"] == list(details.reasons)
    for label, reason, best in zip(found["predictions"], details.reasons, plain["predictions"], strict=True):
        assert label == (best if reason is None else None)
    np.testing.assert_allclose(found["novelty"], details.novelty)
    assert found["novel"] == [False, False, False, True]
    assert found["novelty_threshold"] < found["novelty"][3]


@pytest.mark.parametrize(("abstain", "is_kept"), [(0.0, True), (1.0, False), (False, True), (None, True)])
def test_a_request_may_bring_its_own_threshold(guarded: Any, abstain: Any, is_kept: bool) -> None:
    found = predict(guarded, abstain=abstain).json
    assert all((label is not None) == is_kept for label in found["predictions"])
    assert ("abstained" in found) == (type(abstain) is float)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"prediction_set": 1}, "prediction_set"),
        ({"abstain": "often"}, "abstain"),
        ({"abstain": 1.5}, "abstain"),
        ({"abstain": 10**400}, "abstain"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(guarded: Any, asked: dict[str, Any], field: str) -> None:
    refused = predict(guarded, **asked)
    assert (refused.status, refused.code) == (400, "service.request")
    assert refused.json["details"]["field"] == field
    assert predict(guarded, sets=True).status == 400


def test_a_model_without_says_how_to_get_one_that_has(guarded: Any) -> None:
    for asked, needed in (({"prediction_set": True}, "calibration.conformal.coverage"), ({"abstain": True}, "0.8")):
        refused = predict(guarded, "iris", **asked)
        assert (refused.status, refused.code) == (422, "learning.safeguard_absent")
        assert needed in refused.json["detail"]
    assert predict(guarded, "iris", novelty=True).json["novel"][3] is True


def infer(api: Any, **fields: Any) -> Any:
    cells = [cell for row in ROWS for cell in row]
    tensor = {"name": "input", "shape": [4, 4], "datatype": "FP64", "data": cells}
    return api.call("POST", "/v2/models/guarded/infer", {"inputs": [tensor], **fields})


@pytest.mark.parametrize("by", ["outputs", "parameters"])
def test_the_inference_protocol_has_outputs_for_it(guarded: Any, by: str) -> None:
    expected = predict(guarded, prediction_set=True, abstain=True, novelty=True).json
    names = ["probabilities", "label", "prediction_set", "abstained", "novelty"]
    asked = {
        "outputs": {"outputs": [{"name": name} for name in names]},
        "parameters": {"parameters": {"prediction_set": True, "abstain": True, "novelty": True}},
    }[by]
    answer = infer(guarded, **asked).json
    found = {output["name"]: output for output in answer["outputs"]}
    assert list(found) == names
    members = np.array(found["prediction_set"]["data"]).reshape(4, 3)
    assert found["prediction_set"]["datatype"] == "BOOL"
    assert found["prediction_set"]["parameters"] == {"classes": expected["classes"], "coverage": 0.9}
    for row, labels in zip(members, expected["prediction_sets"], strict=True):
        assert {label for label, is_in in zip(expected["classes"], row, strict=True) if is_in} == set(labels)
    assert found["abstained"]["data"] == [reason or "" for reason in expected["abstained"]]
    assert found["label"]["data"] == [label or "" for label in expected["predictions"]]
    np.testing.assert_allclose(found["novelty"]["data"], expected["novelty"])
    assert [output["name"] for output in infer(guarded).json["outputs"]] == names[:2]
    assert infer(guarded, parameters={"abstain": "often"}).status == 400


def test_more_outputs_come_as_bytes_too(guarded: Any) -> None:
    expected = predict(guarded, prediction_set=True, abstain=0.9).json
    names = ["prediction_set", "abstained"]
    asked = [{"name": name, "parameters": {"binary_data": True}} for name in names]
    reply = infer(guarded, outputs=asked, parameters={"abstain": 0.9})
    length = int(reply.headers["inference-header-content-length"])
    members, texts = reply.body[length : length + 12], reply.body[length + 12 :]
    assert sum(members) == sum(len(row) for row in expected["prediction_sets"])
    read = []
    while texts:
        (size,) = struct.unpack("<I", texts[:4])
        read.append(texts[4 : 4 + size].decode())
        texts = texts[4 + size :]
    assert read == [reason or "" for reason in expected["abstained"]]
