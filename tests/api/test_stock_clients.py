"""Clients of other makers, unchanged: Triton's HTTP client, and the binary tensor extension byte by byte."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 4.5, 1.5], [6.9, 3.1, 5.4, 2.1]])
COLUMNS = ("sepal length", "sepal width", "petal length", "petal width")
MIXED = [{"age": 30, "smoker": "yes"}, {"age": 61.5, "smoker": "no"}, {"age": None, "smoker": "nie gefragt é"}]


@pytest.fixture(scope="module")
def expected(deployed: Any) -> Any:
    return deployed.call("POST", "/v1/endpoints/iris/predict", {"rows": ROWS.tolist()}).json


@pytest.fixture(scope="module")
def triton(deployed: Any) -> Iterator[Any]:
    """``tritonclient.http``, a client, and what makes headers with the key.

    The client writes into the headers it is given, so every call gets its own.
    """
    pytest.importorskip(
        "geventhttpclient", reason="tritonclient.http needs geventhttpclient: pip install superpose[test]"
    )
    client_module = pytest.importorskip("tritonclient.http", reason="pip install superpose[test]")
    client = client_module.InferenceServerClient(urlsplit(deployed.url).netloc)
    yield client_module, client, lambda: {"Authorization": f"Bearer {deployed.admin_key}"}
    client.close()


def test_triton_sees_server_and_model(triton: Any, deployed: Any) -> None:
    _, client, headers = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris", headers=headers())
    assert client.is_model_ready("iris", "1", headers=headers())
    assert not client.is_model_ready("absent", headers=headers())
    assert not client.is_model_ready("iris")  # without a key
    metadata = client.get_model_metadata("iris", headers=headers())
    assert metadata["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]
    assert [output["name"] for output in metadata["outputs"]] == ["probabilities", "label"]
    assert client.get_server_metadata(headers=headers())["extensions"] == ["binary_tensor_data"]


@pytest.mark.parametrize(
    ("datatype", "binary_in"),
    [*((name, form) for name in ("FP64", "FP32", "INT32") for form in (True, False)), ("FP16", True), ("BF16", True)],
)
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_triton_infers_with_one_tensor(
    triton: Any, deployed: Any, expected: Any, datatype: str, binary_in: bool, binary_out: bool | None
) -> None:
    module, client, headers = triton
    if datatype == "BF16":
        numbers = ROWS.astype(pytest.importorskip("ml_dtypes").bfloat16)  # which Triton's client asks for
    else:
        numbers = ROWS.astype({"FP64": "f8", "FP32": "f4", "FP16": "f2", "INT32": "i4"}[datatype])
    tensor = module.InferInput("input", list(numbers.shape), datatype)
    tensor.set_data_from_numpy(numbers, binary_data=binary_in)
    outputs = None
    if binary_out is not None:
        names = ("label", "probabilities")
        outputs = [module.InferRequestedOutput(name, binary_data=binary_out) for name in names]
    found = client.infer("iris", [tensor], outputs=outputs, request_id="mine", headers=headers())
    truth = expected
    if datatype in ("INT32", "FP16", "BF16"):  # they hold other numbers than FP64
        truth = deployed.call("POST", "/v1/endpoints/iris/predict", {"rows": numbers.astype("f8").tolist()}).json
    np.testing.assert_allclose(found.as_numpy("probabilities"), truth["probabilities"], atol=1e-6)
    assert [str(x, "utf-8") if isinstance(x, bytes) else x for x in found.as_numpy("label")] == truth["predictions"]
    assert found.get_response()["id"] == "mine"
    assert found.get_response()["model_version"] == "1"


@pytest.mark.parametrize("binary", [True, False])
def test_triton_infers_with_a_tensor_a_column_and_texts(triton: Any, deployed: Any, binary: bool) -> None:
    module, client, headers = triton
    age = module.InferInput("age", [2], "FP64")
    age.set_data_from_numpy(np.array([30.0, 61.5]), binary_data=binary)
    smoker = module.InferInput("smoker", [2, 1], "BYTES")
    smoker.set_data_from_numpy(np.array([["yes"], ["no"]], dtype=object), binary_data=binary)
    found = client.infer("mixed", [smoker, age], model_version="1", headers=headers())
    truth = deployed.call("POST", "/v1/endpoints/mixed/predict", {"rows": MIXED[:2]}).json
    np.testing.assert_allclose(found.as_numpy("probabilities"), truth["probabilities"], atol=1e-12)


def test_triton_is_told_what_is_wrong(triton: Any) -> None:
    module, client, headers = triton
    tensor = module.InferInput("input", [1, 3], "FP64")
    tensor.set_data_from_numpy(np.ones((1, 3)))
    with pytest.raises(Exception, match=r"shape \(n_rows, 4\)"):
        client.infer("iris", [tensor], headers=headers())
    tensor = module.InferInput("input", [1, 4], "FP64")
    tensor.set_data_from_numpy(np.ones((1, 4)))
    with pytest.raises(Exception, match="No API key"):
        client.infer("iris", [tensor])


def test_triton_asks_asynchronously(triton: Any, expected: Any) -> None:
    module, client, headers = triton
    pending = []
    for row in ROWS:
        tensor = module.InferInput("input", [1, 4], "FP64")
        tensor.set_data_from_numpy(row[None])
        pending.append(client.async_infer("iris", [tensor], headers=headers()))
    found = [one.get_result().as_numpy("probabilities")[0] for one in pending]
    np.testing.assert_allclose(found, expected["probabilities"], atol=1e-6)


def post(api: Any, header: dict[str, Any], binary: bytes, length: object = None, name: str = "iris") -> Any:
    text = json.dumps(header).encode()
    stated = str(len(text) if length is None else length)
    headers = {"Inference-Header-Content-Length": stated, "Content-Type": "application/octet-stream"}
    return api.call("POST", f"/v2/models/{name}/infer", text + binary, headers)


def matrix(size: object = 96, **fields: Any) -> dict[str, Any]:
    return {"name": "input", "shape": [3, 4], "datatype": "FP64", "parameters": {"binary_data_size": size}, **fields}


def texts(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def test_bytes_in_and_bytes_out(deployed: Any, expected: Any) -> None:
    reply = post(deployed, {"inputs": [matrix()], "parameters": {"binary_data_output": True}}, ROWS.tobytes())
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/octet-stream"
    length = int(reply.headers["inference-header-content-length"])
    header, binary = json.loads(reply.body[:length]), reply.body[length:]
    sizes = [output["parameters"]["binary_data_size"] for output in header["outputs"]]
    assert sum(sizes) == len(binary) and all("data" not in output for output in header["outputs"])
    np.testing.assert_allclose(np.frombuffer(binary[: sizes[0]]).reshape(3, 3), expected["probabilities"], atol=1e-12)
    assert binary[sizes[0] :] == texts(*(label.encode() for label in expected["predictions"]))
    mixed = {"outputs": [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probabilities"}]}
    reply = post(deployed, {"inputs": [matrix()], "parameters": {"binary_data_output": True}, **mixed}, ROWS.tobytes())
    header = json.loads(reply.body[: int(reply.headers["inference-header-content-length"])])
    assert header["outputs"][0]["data"] == expected["predictions"]
    assert header["outputs"][1]["parameters"]["binary_data_size"] == 72


def test_missing_numbers_are_nan_and_texts_are_utf8(deployed: Any) -> None:
    column = {"shape": [3], "parameters": {"binary_data_size": 24}}
    smoker = texts(*(row["smoker"].encode() for row in MIXED))
    inputs = [
        {"name": "age", "datatype": "FP64", **column},
        {"name": "smoker", "datatype": "BYTES", "shape": [3], "parameters": {"binary_data_size": len(smoker)}},
    ]
    reply = post(deployed, {"inputs": inputs}, np.array([30, 61.5, np.nan]).tobytes() + smoker, name="mixed")
    truth = deployed.call("POST", "/v1/endpoints/mixed/predict", {"rows": MIXED}).json
    assert reply.json["outputs"][1]["data"] == truth["predictions"]


@pytest.mark.parametrize(
    ("tensor", "binary", "length", "words"),
    [
        (matrix(95), bytes(96), None, "needs 96 bytes, got 95"),
        (matrix(97), bytes(97), None, "needs 96 bytes, got 97"),
        (matrix(), bytes(95), None, "95 bytes are left"),
        (matrix(), bytes(97), None, "1 bytes follow"),
        (matrix("96"), bytes(96), None, "whole number"),
        (matrix(True), bytes(96), None, "whole number"),
        (matrix(-8), bytes(96), None, "whole number"),
        (matrix(data=[1] * 12), bytes(96), None, "either data"),
        (matrix(datatype="FP8"), bytes(96), None, "datatype"),
        (matrix(datatype="FP16"), bytes(96), None, "needs 24 bytes, got 96"),
        (matrix(shape=[3, -4]), bytes(96), None, "shape"),
        (matrix(shape=[10**9, 10**9]), bytes(96), None, "needs 8,000,000,000,000,000,000 bytes"),
        (matrix(datatype="BYTES"), bytes(96), None, "hold something else"),
        (matrix(14, datatype="BYTES", shape=[2]), texts(b"yes", b"\xff\xfe\xfd"), None, "not UTF-8"),
        (matrix(13, datatype="BYTES", shape=[2]), texts(b"yes", b"no") + b"x" * 2, None, "2 bytes follow"),
        (matrix(4, datatype="BYTES", shape=[1]), struct.pack("<I", 2**31), None, "hold something else"),
        (matrix(), np.full((3, 4), np.inf).tobytes(), None, "finite"),
        (matrix(), bytes(96), "0", "Inference-Header-Content-Length must be"),
        (matrix(), bytes(96), "9999999", "Inference-Header-Content-Length must be"),
        (matrix(), bytes(96), "ten", "Inference-Header-Content-Length must be"),
        (matrix(15, datatype="BYTES", shape=[2]), texts(b"yes", b"no") + b"x" * 2, None, "hold something else"),
        (matrix(), bytes(96), "5", "not JSON"),
        ({**matrix(), "parameters": {"shared_memory_region": "x"}}, b"", None, "shared memory"),
    ],
)
def test_bad_bytes(deployed: Any, tensor: dict[str, Any], binary: bytes, length: object, words: str) -> None:
    reply = post(deployed, {"inputs": [tensor]}, binary, length)
    assert reply.code in ("service.request", "learning.feature_mismatch")
    assert words in reply.json["error"]


def test_a_canary_is_one_of_the_models_versions(deployed: Any) -> None:
    path = "/v1/endpoints/sided"
    assert deployed.call("POST", "/v1/endpoints", {"name": "sided", "model": "iris"}).status == 201
    deployed.call("PUT", f"{path}/canary", {"percent": 50, "model": "mixed"})
    assert deployed.call("GET", "/v2/models/sided").json["versions"] == ["1", "1"]
    body = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": ROWS[0].tolist()}]}
    assert deployed.call("POST", "/v2/models/sided/versions/1/infer", body).status == 200
    assert deployed.call("POST", "/v2/models/sided/versions/7/infer", body).code == "service.not_found"
    deployed.call("DELETE", path)
