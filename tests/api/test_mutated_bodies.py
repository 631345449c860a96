"""Thousands of bodies that are almost right: none may make the server fail."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from superpose.circuits import Circuit, Observable, Parameter, Program, program_to_json

PROGRAM = Program(Circuit(2).h(0).rx(Parameter("t"), 1), params={"t": 0.3}, observables=(Observable.z(0, 2),))
SPEC = {"model": {"n_qubits": 2, "ansatz": {"layers": 1}}, "training": {"epochs": 1}, "evaluation": {"n_splits": 2}}
TENSOR = {"name": "input", "datatype": "FP64", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}
GOOD = {
    "/v1/jobs": {"kind": "train", "dataset": "seed", "model": "m", "spec": SPEC, "priority": 0},
    "/v1/programs": dict(program_to_json(PROGRAM)),
    "/v1/keys": {"role": "viewer", "label": "x", "project": None, "expires_at": "2050-01-01T00:00:00Z"},
    "/v1/endpoints": {"name": "e", "model": "m", "version": 1},
    "/v1/endpoints/none/predict": {"rows": [{"a": 1.0, "b": "x"}, {"a": None, "b": "y"}]},
    "/v2/models/none/infer": {"inputs": [TENSOR], "id": "a", "outputs": [{"name": "label"}]},
    "/v1/datasets": {"name": "seed", "builtin": "iris"},
}
ATOMS = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 2**64 - 1, 10**30, 1.5, 1e308, 5e-324, -0.0),
    *("", "a", "x" * 300, "\u0000", "é", "\ud800", "../..", "train", "m", "input", "FP64", "BYTES", "seed"),
    *([], {}, [[]], {"": None}),
]


def value(dice: random.Random, depth: int = 0) -> Any:
    kind = dice.random()
    if depth > 3 or kind < 0.6:
        return dice.choice(ATOMS)
    if kind < 0.8:
        return [value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(["name", "rows", "data", "shape", "spec"]): value(dice, depth + 1) for _ in range(3)}


def mutated(dice: random.Random, document: Any) -> Any:
    """The document with one value, somewhere in it, changed."""
    if isinstance(document, dict) and document:
        name = dice.choice(list(document))
        return {**document, name: value(dice) if dice.random() < 0.4 else mutated(dice, document[name])}
    if isinstance(document, list) and document:
        at = dice.randrange(len(document))
        return [*document[:at], mutated(dice, document[at]), *document[at + 1 :]]
    return value(dice)


@pytest.mark.parametrize("path", GOOD)
def test_no_body_makes_the_server_fail(start: Any, path: str) -> None:
    dice = random.Random(path)
    seen = set()
    with start() as api:
        assert api.call("POST", "/v1/datasets", GOOD["/v1/datasets"]).status == 201
        for _ in range(150):
            document = mutated(dice, GOOD[path])
            reply = api.call("POST", path, json.dumps(document).encode(), {"Content-Type": "application/json"})
            assert reply.status < 500, document
            if reply.status >= 400:
                assert reply.code
            seen.add(reply.status)
    assert seen & {400, 422}
