"""The rival: the same trained model in PennyLane behind FastAPI, as its own users would write and tune it.

``python pennylane_api.py MODEL_FILE DEVICE ROUTE THREADS``: DEVICE is default.qubit-torch, default.qubit-numpy or
lightning.qubit; ROUTE sync or async; THREADS torch's and OpenMP's. Classical layers are torch's for the torch form,
else NumPy's. Nothing is differentiated, weights and gates are made once where PennyLane allows it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["OMP_NUM_THREADS"] = sys.argv[4]  # before lightning.qubit, which has threads of its own, is loaded

from typing import Annotated, Any

import numpy as np
import pennylane as qml
import torch
from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel

from serving_parts.keyed import authenticated, serve
from superpose.learning import Predictor

PATH, DEVICE, ROUTE, THREADS = sys.argv[1:5]
torch.set_num_threads(int(THREADS))

predictor = Predictor.load(PATH)
model = predictor._model
circuit, block = model.block.circuit, model.block
classes = [str(label) for label in predictor.classes]
prep = model.preprocessor
GATES = {"ry": qml.RY, "rx": qml.RX, "rz": qml.RZ, "cx": qml.CNOT, "cz": qml.CZ, "h": qml.Hadamard, "rzz": qml.IsingZZ}
as_torch = DEVICE == "default.qubit-torch"
arrays = {name: np.asarray(array, dtype=np.float64) for name, array in model.arrays.items()}
weights_of = dict(zip(block.weight_names, arrays["block.weights"].tolist(), strict=True))
inputs_of = {name: place for place, name in enumerate(block.angle_names)}


def steps() -> list[tuple[Any, int | None, tuple[float, ...], tuple[int, ...]]]:
    """Gate, place of its angle among the inputs or None, fixed angles, qubits. Gates of weights are ready numbers."""
    found: list[tuple[Any, int | None, tuple[float, ...], tuple[int, ...]]] = []
    for instruction in circuit.instructions:
        names = [angle.terms[0][0] for angle in instruction.angles]
        if any(
            angle.terms != ((name, 1.0),) or angle.constant
            for angle, name in zip(instruction.angles, names, strict=True)
        ):
            raise SystemExit("This rival takes plain parameters only.")
        place = inputs_of.get(names[0]) if names else None
        fixed = () if place is not None else tuple(weights_of[name] for name in names)
        if instruction.gate == "u":  # U(theta, phi, lambda) but for its phase, in the gate that lightning has by itself
            theta, phi, lam = fixed
            found.append((qml.Rot, None, (lam, theta, phi), instruction.qubits))
        else:
            found.append((GATES[instruction.gate], place, fixed, instruction.qubits))
    return found


STEPS = steps()
WIRES = range(circuit.n_qubits)
own = (
    threading.local()
)  # a device shared by threads mixes their states up (seen with lightning.qubit), so each has its own


def quantum(angles: Any) -> None:
    """Queues the circuit."""
    for gate, place, fixed, qubits in STEPS:
        if place is not None:
            gate(angles[place], wires=qubits)
        else:
            gate(*fixed, wires=qubits)


def expectations(angles: Any) -> Any:
    """Z of every qubit, on this thread's device."""
    if not hasattr(own, "node"):
        device = qml.device("lightning.qubit" if DEVICE == "lightning.qubit" else "default.qubit", wires=len(WIRES))

        @qml.qnode(device, interface="torch" if as_torch else None, diff_method=None)
        def node(angles: Any) -> Any:
            quantum(angles)
            return [qml.expval(qml.PauliZ(wire)) for wire in WIRES]

        own.node = node
    return own.node(angles)


tensors = {name: torch.tensor(array) for name, array in arrays.items()}


def probabilities(row: list[float]) -> list[float]:
    """One row's class probabilities."""
    numbers = (np.array(row, dtype=np.float64) - prep.centre) / prep.scale
    if as_torch:
        with torch.inference_mode():
            entry = torch.nn.functional.linear(
                torch.from_numpy(numbers), tensors["entry.weight"], tensors["entry.bias"]
            )
            z = torch.stack(expectations(torch.tanh(entry) * model.max_angle))
            return torch.softmax(
                torch.nn.functional.linear(z, tensors["exit.weight"], tensors["exit.bias"]), 0
            ).tolist()
    angles = np.tanh(arrays["entry.weight"] @ numbers + arrays["entry.bias"]) * model.max_angle
    scores = arrays["exit.weight"] @ np.array(expectations(angles)) + arrays["exit.bias"]
    scores = np.exp(scores - scores.max())
    return (scores / scores.sum()).tolist()


class Rows(BaseModel):
    """The body."""

    rows: list[list[float]]


app = FastAPI()


def answer(body: Rows, request_id: str) -> dict[str, Any]:
    """What the route answers with: the same fields as superpose's."""
    found = [probabilities(row) for row in body.rows]
    return {
        "model": "bench",
        "model_version": 1,
        "request_id": request_id,
        "classes": classes,
        "probabilities": found,
        "predictions": [classes[int(np.argmax(row))] for row in found],
    }


if ROUTE == "sync":

    @app.post("/v1/endpoints/{name}/predict", dependencies=[Depends(authenticated)])
    def predict(body: Rows, name: str, x_request_id: Annotated[str, Header()] = "") -> dict[str, Any]:
        return answer(body, x_request_id)

else:

    @app.post("/v1/endpoints/{name}/predict", dependencies=[Depends(authenticated)])
    async def predict(body: Rows, name: str, x_request_id: Annotated[str, Header()] = "") -> dict[str, Any]:
        return answer(body, x_request_id)


serve(app)
