"""Rigetti's QVM on loopback, as its own source describes its HTTP interface; programs are really run, on our engine.

Source: github.com/quil-lang/qvm, app/src/handle-request.lisp, server-abstraction.lisp, api/multishot.lisp,
api/info.lisp, api/version.lisp: a POST to any path, types of requests, an error as status 500 with ``error_type`` and
``status``, amplitudes as big-endian doubles with qubit 0 as the lowest bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jsonschema_rs
import numpy as np
from pyquil import Program as Quil
from pyquil import quilbase
from tests.backends.clouds.loopback import FakeService, Handler, listening

from superpose.backends import LocalBackend
from superpose.circuits import Circuit, Program
from superpose.circuits.reference import state_vector
from superpose.frontends.pyquil import read

VERSION = "1.17.2 [76b33c4]"
NOISE = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
SEED = {"type": "integer", "minimum": 0}
MULTISHOT = jsonschema_rs.validator_for(
    {
        "type": "object",
        "required": ["type", "addresses", "trials", "compiled-quil"],
        "additionalProperties": False,
        "properties": {
            "type": {"const": "multishot"},
            "addresses": {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{"const": True}, {"type": "array", "items": {"type": "integer", "minimum": 0}}]
                },
            },
            "trials": {"type": "integer", "minimum": 0},
            "compiled-quil": {"type": "string"},
            "gate-noise": NOISE,
            "measurement-noise": NOISE,
            "rng-seed": SEED,
        },
    }
)
AMPLITUDES = jsonschema_rs.validator_for(
    {
        "type": "object",
        "required": ["type", "compiled-quil"],
        "additionalProperties": False,
        "properties": {"type": {"const": "wavefunction"}, "compiled-quil": {"type": "string"}, "rng-seed": SEED},
    }
)


class FakeQvm(FakeService):
    """The server; ``taken`` are the requests that it worked on."""

    def __init__(self, qubit_limit: str = "NIL") -> None:
        super().__init__()
        self.qubit_limit = qubit_limit
        self.taken: list[dict[str, Any]] = []

    def answer(self, sent: dict[str, Any]) -> tuple[int, Any]:
        """Status and document."""
        self.taken.append(sent)
        try:
            match sent["type"]:
                case "version":
                    return 200, VERSION
                case "info":
                    return 200, {"qubit-limit": self.qubit_limit}
                case "multishot":
                    MULTISHOT.validate(sent)
                    return 200, multishot(sent)
                case "wavefunction":
                    AMPLITUDES.validate(sent)
                    return 200, amplitudes(sent)
        except Exception as error:
            return 500, {"error_type": "qvm_error", "status": str(error)}
        return 500, {"error_type": "qvm_error", "status": "Invalid request."}


@contextmanager
def serving(fake: FakeQvm) -> Iterator[str]:
    """The URL of the server."""

    class Qvm(Handler):
        def do_POST(self) -> None:
            sent = json.loads(self.body())
            fault = fake.asked(sent["type"])
            if fault.isdecimal():
                self.reply(int(fault), "<html>injected</html>")
            else:
                self.answer(fake, fault, lambda: fake.answer(sent))

        def reply(
            self, status: int, document: Any, headers: Mapping[str, str] | None = None, share: float = 1.0
        ) -> None:
            super().reply(status, document, {"Retry-After": "3"} if status == 429 else {}, share)

    with listening(Qvm, fake) as port:
        yield f"http://127.0.0.1:{port}"


def amplitudes(sent: dict[str, Any]) -> bytes:
    """The final state, qubit 0 the lowest bit."""
    state = state_vector(circuit_of(sent["compiled-quil"]))
    n_qubits = len(state).bit_length() - 1
    return state.reshape((2,) * n_qubits).transpose().reshape(-1).astype(">c16").tobytes()


def circuit_of(text: str) -> Circuit:
    """The circuit of a program, with the values that it moves into its memory before its first gate."""
    program = Quil(text)
    values: dict[str, float] = {}
    rest = Quil()
    gates = False
    for item in program.instructions:
        if isinstance(item, quilbase.ClassicalMove):
            assert not gates, "moves stand before the gates"
            values[item.left.name] = float(item.right)
        else:
            gates = gates or isinstance(item, quilbase.Gate)
            rest.inst(item)
    circuit = read(rest)
    return circuit.bind(values) if values else circuit


def multishot(sent: dict[str, Any]) -> dict[str, list[list[int]]]:
    """The memory asked for, of each shot."""
    (region,) = sent["addresses"]
    if not sent["trials"]:
        return {}
    circuit = circuit_of(sent["compiled-quil"])
    seed = sent.get("rng-seed", 0)
    (counts,) = LocalBackend().run(Program(circuit, shots=sent["trials"], seed=seed)).counts or ()
    rows = [[int(bit) for bit in bits] for bits, number in counts.items() for _ in range(number)]
    order = np.random.default_rng(seed).permutation(len(rows))
    return {region: [rows[place] for place in order]}
