"""Documents that are almost right: specs, sweeps, programs' results, tensors, settings, event streams."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.api.binary_tensors import BinaryParts, header_length
from superpose.api.tensors import inference_of
from superpose.circuits import (
    Circuit,
    NoiseModel,
    Observable,
    Parameter,
    Program,
    circuit_from_json,
    program_from_json,
    program_to_json,
    result_from_json,
)
from superpose.cli.settings import load_settings
from superpose.client import parse_events
from superpose.errors import RequestError, SuperposeError
from superpose.learning import TrainingSpec
from superpose.service.experiments.sweep_spec import SweepSpec

from .mutations import JSON, broken, broken_document, refused_or_read, short, within

SPEC = TrainingSpec().to_dict()
SWEEP: dict[str, Any] = {
    "spec": {"training": {"epochs": 4}, "model": {"n_qubits": 2}},
    "space": {
        "model.n_qubits": {"int": [2, 6], "step": 2},
        "training.learning_rate": {"float": [0.001, 0.1], "log": True},
        "model.ansatz.name": {"choice": ["strongly_entangling", "hardware_efficient"]},
    },
    "objective": {"metric": "accuracy", "folds": 3},
    "sampler": {"name": "tpe", "seed": 0},
    "pruner": {"name": "median", "startup_trials": 5, "warmup_folds": 1},
    "n_trials": 5,
    "parallelism": 2,
}
CIRCUIT = Circuit(2).h(0).rx(Parameter("t"), 1).cx(0, 1)
PROGRAM = dict(program_to_json(Program(CIRCUIT, params={"t": [0.1, 0.2]}, observables=(Observable.z(0, 2),), shots=10)))
RESULT = {
    "format": "superpose.result",
    "version": 1,
    "expectations": [[0.5, 1.0], [0.25, -1.0]],
    "counts": [{"00": 3, "11": 7}],
    "state_vectors": [[[1.0, 0.0], [0.0, 0.0]]],
    "provenance": {"backend": "local"},
}
INFERENCE: dict[str, Any] = {
    "id": "a",
    "parameters": {"binary_data_output": True},
    "inputs": [
        {"name": "a", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]},
        {"name": "b", "shape": [2, 1], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
        {"name": "c", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 12}},
    ],
    "outputs": [{"name": "label", "parameters": {"binary_data": True}}],
}
TENSORS = struct.pack("<ff", 1.0, 2.0) + b"\x02\0\0\0ab" + b"\x02\0\0\0\xc3\xa9"
SETTINGS = 'workers = 2\nlease_s = 30.0\nhost = "127.0.0.1"\ncpu_threads = 2\n[extra]\na = 1\n'
EVENTS = (
    b'\xef\xbb\xbf: hello\nretry: 1000\n\nid: 7\nevent: progress\ndata: {"a": 1}\r\ndata: more\r\rdata: \xc3\xa9\n\n'
)


def test_the_documents_are_right_before_they_are_broken() -> None:
    assert TrainingSpec.from_dict(SPEC) == TrainingSpec()
    assert SweepSpec.from_dict(SWEEP)
    assert program_from_json(PROGRAM).shots == 10
    assert result_from_json(RESULT).counts
    assert len(inference_of(INFERENCE, "m", BinaryParts(TENSORS)).rows) == 2


@short(120)
@given(broken_document(SPEC) | JSON)
def test_training_specs(document: Any) -> None:
    spec = refused_or_read(lambda: TrainingSpec.from_dict(document))
    if spec is not None:
        assert TrainingSpec.from_json(json.dumps(spec.to_dict(), allow_nan=False)) == spec


@short(80)
@given(broken(json.dumps(SPEC).encode()).map(lambda text: text.decode("utf-8", "replace")) | st.text(max_size=60))
def test_training_specs_as_text(text: str) -> None:
    refused_or_read(lambda: TrainingSpec.from_json(text))
    refused_or_read(lambda: TrainingSpec.from_yaml(text))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 3_000,
        '{"a":' * 50_000,
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]",
        "a: !!python/object/apply:os.system ['true']",
        "a: 2001-99-99",
        "a: " + "9" * 6_000,
        "? [a, b]\n: c",
        "\ud800",
        "model: {n_qubits: 1_0}",
        "a: 1:60:60",
        "=: 1",
        "<<: 1",
        "a: !!binary x",
        "a: !!timestamp x",
        "a: !!int x",
        "a: !!float x",
        "a: !!set {a, b}",
    ],
    ids=range(18),
)
def test_texts_that_yaml_and_json_readers_stumble_over(text: str) -> None:
    refused_or_read(lambda: TrainingSpec.from_yaml(text))
    refused_or_read(lambda: TrainingSpec.from_json(text))
    refused_or_read(lambda: circuit_from_json(text))
    refused_or_read(lambda: program_from_json(text))
    refused_or_read(lambda: result_from_json(text))


@short(120)
@given(broken_document(SWEEP) | JSON)
def test_sweeps(document: Any) -> None:
    sweep = refused_or_read(lambda: SweepSpec.from_dict(document))
    if sweep is not None:
        json.dumps(sweep.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "dimension",
    [{"float": [0, 1], "step": 1e-9}, {"int": [1, 10**9]}, {"int": [0, 2**62]}, {"float": [0, 1e308], "step": 1}],
)
def test_a_grid_of_too_many_values_is_refused_before_it_is_made(dimension: Any) -> None:
    path = "training.learning_rate" if "float" in dimension else "training.epochs"
    with within(20):
        assert (
            refused_or_read(lambda: SweepSpec.from_dict({"space": {path: dimension}, "sampler": {"name": "grid"}}))
            is None
        )


@short(120)
@given(broken_document(PROGRAM))
def test_programs(document: Any) -> None:
    refused_or_read(lambda: program_from_json(document))


@short(100)
@given(broken_document(RESULT) | JSON)
def test_results(document: Any) -> None:
    refused_or_read(lambda: result_from_json(document))


@short(120)
@given(broken_document(INFERENCE), st.just(TENSORS) | broken(TENSORS))
def test_inference_requests_with_tensors_as_bytes(document: Any, content: bytes) -> None:
    refused_or_read(lambda: inference_of(document, "m", BinaryParts(content)))


@pytest.mark.parametrize("shape", [[10**4000, 10**4000], [2**62, 4], [2**63], [1, 2**40]])
@pytest.mark.parametrize("datatype", ["FP64", "BYTES", "BOOL"])
def test_tensors_that_say_they_are_vast(shape: list[int], datatype: str) -> None:
    binary = {"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": 8}}
    plain = {"name": "x", "shape": shape, "datatype": datatype, "data": [1.0]}
    for tensor in (binary, plain):
        with within(20), pytest.raises(RequestError):
            inference_of({"inputs": [tensor]}, "m", BinaryParts(bytes(8)))


@short(100)
@given(st.text(max_size=12) | st.integers().map(str), st.integers(0, 100))
def test_lengths_of_headers(value: str, n_bytes: int) -> None:
    length = refused_or_read(lambda: header_length(value, n_bytes))
    assert length is None or 0 < length <= n_bytes


@short(120)
@given(st.just(SETTINGS.encode()).flatmap(broken) | st.binary(max_size=40))
def test_settings(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "superpose.toml"
    path.write_bytes(content)
    path.chmod(0o600)
    refused_or_read(lambda: load_settings(config_file=path, environment={}))


NAMES = ("WORKERS", "LEASE_S", "HOST", "CPU_THREADS", "DATA_DIR", "MAX_BODY_BYTES", "ARTIFACT_URL", "NONE")


@short(120)
@given(st.sampled_from(NAMES), st.text(max_size=12) | st.sampled_from(["9" * 5000, "nan", "inf", "1e999", "-1", "0x1"]))
def test_settings_of_the_environment(name: str, text: str) -> None:
    variables = {"SUPERPOSE_CONFIG": "none", f"SUPERPOSE_{name}": text}
    refused_or_read(lambda: load_settings(environment=variables))


@short(100)
@given(broken(EVENTS) | st.binary(max_size=80), st.lists(st.integers(0, 90), max_size=6).map(sorted))
def test_event_streams_do_not_depend_on_where_they_are_cut(content: bytes, cuts: list[int]) -> None:
    ends = [0, *cuts, len(content)]
    chunks = [content[a:b] for a, b in itertools.pairwise(ends)]
    assert list(parse_events(chunks)) == list(parse_events([content]))


def test_an_event_stream_without_a_line_end_takes_neither_long_nor_all_memory() -> None:
    def endless() -> Any:
        for _ in range(4_000):
            yield b"x" * 65_536

    with within(100):
        assert refused_or_read(lambda: list(parse_events(endless()))) in ([], None)


def test_many_short_lines_in_one_chunk_take_linear_time() -> None:
    events = refused_or_read(lambda: list(parse_events([b"data: x\n\n" * 200_000])), seconds=20.0)
    assert len(events) == 200_000


@short(80)
@given(broken_document({"p1": 0.01, "readout": [0.1, 0.2], "t1_us": 50.0}))
def test_noise_models_in_programs(document: Any) -> None:
    refused_or_read(lambda: program_from_json({**PROGRAM, "noise": document}))
    assert NoiseModel is not None and SuperposeError is not None and np is not None


@pytest.mark.parametrize("sent", ["9" * 5_000, "-1", "1.5", "٣", "", "0x1", "1" * 17, "a" * 200])
def test_ids_of_the_last_event(api: Any, sent: str) -> None:
    job = api.call("POST", "/v1/programs", PROGRAM).json["id"]
    api.call("POST", f"/v1/jobs/{job}/cancel")
    reply = api.call("GET", f"/v1/jobs/{job}/events", headers={"Last-Event-ID": sent.encode()})
    assert (reply.status, reply.code) == (400, "service.request")
