"""Model files: equal models give equal bytes, any change is refused, reading executes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from sklearn.datasets import load_iris

from superpose.errors import ModelFileCorruptError, ModelFileError, ModelFormatError
from superpose.learning import HybridClassifier, ModelFacts, read_model, with_signature, write_model
from superpose.learning.canonical import digest_bytes
from superpose.learning.container import pack, unpack
from superpose.learning.model_file import encode_model

FACTS = ModelFacts(data={"name": "iris"}, provenance={"note": "größe"})


@pytest.fixture(scope="module")
def classifier() -> HybridClassifier:
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    return HybridClassifier(n_qubits=2, layers=1, encoding="iqp", epochs=2, random_state=0).fit(rows, labels)


@pytest.fixture(scope="module")
def content(classifier: HybridClassifier) -> bytes:
    return encode_model(classifier.to_trained_model(), FACTS)[0]


def resealed(content: bytes, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> bytes:
    """A file that is consistent in itself after a change of manifest or members: what a forger would write."""
    members = unpack(content)
    manifest = json.loads(members.pop("manifest.json"))
    change(manifest, members)
    for name in manifest["members"]:
        if name in members:
            manifest["members"][name] = {"sha256": digest_bytes(members[name]), "size": len(members[name])}
    return pack({"manifest.json": json.dumps(manifest).encode(), **members})


def test_equal_models_give_equal_bytes_and_come_back(
    classifier: HybridClassifier, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "iris.superpose"
    digest = write_model(path, classifier.to_trained_model(), FACTS)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["iris.superpose"]
    file = read_model(path, digest)
    assert file.digest == digest == digest_bytes(unpack(content)["manifest.json"])
    assert file.manifest["data"] == {"name": "iris"}
    assert file.manifest["format_version"] == 1
    assert encode_model(file.model, FACTS) == (content, digest)
    assert file.model.classes == (0, 1, 2)


def test_the_circuit_and_arrays_are_in_open_formats(content: bytes) -> None:
    members = unpack(content)
    assert set(members) == {"manifest.json", "circuits/quantum.qasm", "arrays.safetensors"}
    assert members["circuits/quantum.qasm"].startswith(b"OPENQASM 3")
    assert b"input float" in members["circuits/quantum.qasm"]
    arrays = safetensors.numpy.load(members["arrays.safetensors"])
    assert arrays["entry.weight"].shape == (2, 4)
    assert arrays["entry.weight"].dtype == np.float32


def test_every_changed_byte_is_refused(content: bytes) -> None:
    digest = read_model(content).digest
    for place in range(0, len(content), 3):
        changed = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        with pytest.raises(ModelFileError):
            read_model(changed, digest)
        with pytest.raises(ModelFileError):
            read_model(changed)


def test_a_forged_file_that_is_consistent_in_itself_is_refused_by_its_digest(content: bytes) -> None:
    forged = resealed(content, lambda manifest, members: manifest["data"].update(name="forged"))
    assert read_model(forged).manifest["data"]["name"] == "forged"
    with pytest.raises(ModelFileCorruptError, match="expected was") as caught:
        read_model(forged, read_model(content).digest)
    assert caught.value.details["expected"] == read_model(content).digest


def test_signatures_lie_outside_the_digest(content: bytes) -> None:
    signed = with_signature(with_signature(content, "b.sig", b"two"), "a.sig", b"one")
    file = read_model(signed, read_model(content).digest)
    assert file.signatures == {"a.sig": b"one", "b.sig": b"two"}
    assert with_signature(signed, "a.sig", b"new") != signed
    with pytest.raises(ValueError, match="plain parts"):
        with_signature(content, "../a.sig", b"")


Change = Callable[[dict[str, Any], dict[str, bytes]], None]


def drop(key: str) -> Change:
    return lambda manifest, members: manifest.pop(key)


def put(value: Any, *path: Any) -> Change:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        place: Any = manifest
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def member(name: str, value: bytes | None, *, listed: bool = True) -> Change:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        if value is None:
            members.pop(name)
        else:
            members[name] = value
            if listed:
                manifest["members"][name] = {}

    return change


def arrays(change: Callable[[dict[str, np.ndarray]], Any]) -> Change:
    def apply(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        found = {k: np.array(v) for k, v in safetensors.numpy.load(members["arrays.safetensors"]).items()}
        change(found)
        members["arrays.safetensors"] = safetensors.numpy.save(found)

    return apply


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (put(3, "format_version"), ModelFormatError, "format version 3, this release reads 1 to 2"),
        (put("1", "format_version"), ModelFormatError, "format version '1'"),
        (put(True, "format_version"), ModelFormatError, "format version True"),
        (put("regressor", "kind"), ModelFormatError, "holds a 'regressor'"),
        (drop("format"), ModelFormatError, "does not say"),
        (member("arrays.safetensors", None), ModelFileCorruptError, "members must be those"),
        (member("circuits/other.qasm", b""), ModelFileCorruptError, "members must be those"),
        (member("evil.py", b"print()", listed=False), ModelFileCorruptError, "members must be those"),
        (member("circuits/quantum.qasm", b"OPENQASM 3.0;"), ModelFileCorruptError, "do not make a model"),
        (member("circuits/quantum.qasm", b"\xff"), ModelFileCorruptError, "do not make a model"),
        (member("arrays.safetensors", b"\x80\x04."), ModelFileCorruptError, "do not make a model"),
        (drop("pipeline"), ModelFileCorruptError, "do not make a model"),
        (put([], "pipeline", "classes"), ModelFileCorruptError, "do not make a model"),
        (put("vector", "pipeline", "class_type"), ModelFileCorruptError, "do not make a model"),
        (put("cosine", "pipeline", "network", "circuit", "feature_map"), ModelFileCorruptError, "do not make a model"),
        (put(["w_0"], "pipeline", "network", "circuit", "weight_names"), ModelFileCorruptError, "do not make a model"),
        (put(None, "pipeline", "preprocessing", "columns"), ModelFileCorruptError, "do not make a model"),
        (put(float("nan"), "pipeline", "network", "max_angle"), ModelFileCorruptError, "finite numbers"),
        (put(float("-inf"), "data", "n_rows"), ModelFileCorruptError, "finite numbers"),
        (put(10**400, "pipeline", "network", "max_angle"), ModelFileCorruptError, "do not make a model"),
        (put("inf", "pipeline", "network", "max_angle"), ModelFileCorruptError, "max_angle must be finite"),
        (drop("provenance"), ModelFileCorruptError, "no provenance"),
        (put([], "data"), ModelFileCorruptError, "no data"),
        (put(1, "pipeline", "preprocessing", "columns", 0, "name"), ModelFileCorruptError, "a text as its name"),
        (put("date", "pipeline", "preprocessing", "columns", 0, "kind"), ModelFileCorruptError, 'be a "number"'),
        (arrays(lambda found: found.pop("exit.bias")), ModelFileCorruptError, "do not make a model"),
        (arrays(lambda found: found.update(extra=np.zeros(1))), ModelFileCorruptError, "do not make a model"),
        (arrays(lambda found: found["exit.bias"].fill(np.nan)), ModelFileCorruptError, "finite"),
        (arrays(lambda found: found.update({"exit.bias": np.zeros(7)})), ModelFileCorruptError, "do not make a model"),
    ],
)
def test_consistent_files_that_hold_no_model_of_this_release_are_refused(
    content: bytes, change: Callable[..., None], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_model(resealed(content, change))


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{", b'{"format": 1}', b"[" * 100_000, b"\xff", b'{"a": 1e999}'])
def test_manifests_that_are_no_manifests_are_refused(content: bytes, manifest: bytes) -> None:
    members = unpack(content)
    with pytest.raises(ModelFileError):
        read_model(pack({**members, "manifest.json": manifest}))
    with pytest.raises(ModelFileCorruptError, match="no manifest"):
        read_model(pack({"arrays.safetensors": b""}))


def test_labels_of_mixed_types_are_not_written() -> None:
    rows, labels = load_iris(return_X_y=True)
    model = HybridClassifier(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows, labels)
    model.classes_ = np.array([0, "one", 2.0], dtype=object)
    with pytest.raises(ValueError, match="labels of one type"):
        model.to_trained_model()


READER = """
import builtins, pickle, _pickle, sys
from superpose.circuits import Circuit, Observable
from superpose.engine import compile_program
from superpose.learning import Predictor
compile_program(Circuit(1).h(0), [Observable("Z")], dtype="float64").expectation(None, None)  # loads kernels

def refuse(*args, **kwargs):
    raise SystemExit("unpickled or executed something")

for module in (pickle, _pickle):
    module.load = module.loads = module.Unpickler = refuse
builtins.exec = builtins.eval = builtins.compile = refuse
predictor = Predictor.load(sys.argv[1])
probabilities = predictor.predict_proba([[5.1, 3.5, 1.4, 0.2]]).tolist()
loaded = {"torch", "sklearn", "pandas"} & set(sys.modules)
print(sorted(loaded) if loaded else probabilities)
"""


def test_a_fresh_process_serves_it_without_torch_and_without_unpickling(
    classifier: HybridClassifier, content: bytes, tmp_path: Path
) -> None:
    """The engine reads kernels that it built itself from its private cache beforehand; Numba unpickles those."""
    path = tmp_path / "iris.superpose"
    path.write_bytes(content)
    printed = subprocess.run([sys.executable, "-c", READER, str(path)], capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr + printed.stdout
    rows = [[5.1, 3.5, 1.4, 0.2]]
    names = classifier.feature_names_in_
    expected = classifier.predict_proba(__import__("pandas").DataFrame(rows, columns=names))
    np.testing.assert_allclose(json.loads(printed.stdout), expected, atol=1e-9)
