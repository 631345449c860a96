"""The chest X-ray template's speed against PennyLane: the quantum layer, training the head alone, and whole training.

    python benchmarks/pneumonia.py [--json] [--save]

All contestants run in this process on one thread, take turns, and must give the same numbers first. The figures of
quality are made by ``superpose train pneumonia`` and lie beside these in ``results/pneumonia.json``.

- layer: expectations of the dressed circuit for a batch of 128, and gradients of inputs and weights.
- arrays: the same from NumPy arrays to NumPy arrays, by the engine's call and by the compiled function of JAX, without
  torch's share.
- head: one epoch over cached features (4708 x 128): Linear 128 -> 4, tanh, circuit, Linear 4 -> 2, AdamW. Ours are the
  compiled steps that the template trains heads with; networks and compiled functions are made before the clock begins.
- whole: one step of a batch of 128 through six convolutions and the head; the convolutions are the same.

PennyLane runs as its users would with PyTorch (default.qubit with backpropagation and broadcasting; lightning.qubit
with adjoint gradients), and under ``jax.jit`` with the whole training step compiled, its fastest configuration here.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness import environment_facts, print_json, print_table, say, version_of
from results import RESULTS
from superpose.engine import compile_program
from superpose.learning.fused.choice import fused_parts_or_reason
from superpose.learning.fused.parts import flattened
from superpose.learning.fused.steps import FusedSteps
from superpose.learning.templates.pneumonia.networks import DressedHead, SixConvolutions
from superpose.learning.training import TrainingRows

N_QUBITS, LAYERS, BATCH = 4, 6, 128
N_PICTURES, N_FEATURES = 4708, 128
CASES = ("layer", "arrays", "head", "whole")

Layer = Callable[[Tensor, Tensor], Tensor]


def _circuit(inputs: Any, weights: Any) -> None:
    import pennylane as qml

    for qubit in range(N_QUBITS):
        qml.Hadamard(qubit)
        qml.RY(inputs[..., qubit], wires=qubit)
    for layer in range(LAYERS):
        for pair in ((0, 1), (2, 3), (1, 2)):
            qml.CNOT(wires=pair)
        for qubit in range(N_QUBITS):
            qml.RY(weights[layer * N_QUBITS + qubit], wires=qubit)


def _pennylane_layer(device: str, method: str) -> Layer:
    import pennylane as qml

    @qml.qnode(qml.device(device, wires=N_QUBITS), interface="torch", diff_method=method)
    def circuit(inputs: Tensor, weights: Tensor) -> Any:
        _circuit(inputs, weights)
        return [qml.expval(qml.PauliZ(qubit)) for qubit in range(N_QUBITS)]

    return lambda inputs, weights: torch.stack(circuit(inputs, weights), -1).to(inputs.dtype)


class _Foreign(nn.Module):
    """PennyLane's circuit in the place of ours."""

    def __init__(self, layer: Layer, weights: Tensor) -> None:
        super().__init__()
        self.layer, self.weights = layer, nn.Parameter(weights.detach().clone())

    def forward(self, angles: Tensor) -> Tensor:
        return self.layer(angles, self.weights)


def _head(middle: nn.Module | None) -> DressedHead:
    torch.manual_seed(0)
    head = DressedHead(N_FEATURES, "hybrid", 0)
    if middle is not None:
        head.middle = middle
    return head


def _epoch(network: nn.Module, rows: Tensor, labels: Tensor) -> float:
    """Train one epoch; the last loss."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, fused=True)
    loss = torch.zeros(())
    for start in range(0, len(rows), BATCH):
        loss = nn.functional.cross_entropy(network(rows[start : start + BATCH]), labels[start : start + BATCH])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def _our_epoch(rows: Tensor, labels: Tensor) -> Callable[[], float]:
    """Trains one epoch in compiled code, from the same first weights each time; the last loss."""
    head = _head(None)
    start = {name: value.clone() for name, value in head.state_dict().items()}
    trained = list(head.parameters())
    vectors = flattened(trained)
    parts = fused_parts_or_reason(head, None, None, nn.functional.cross_entropy)
    if isinstance(parts, str):
        raise SystemExit(f"the head does not train in compiled code: {parts}")
    steps = FusedSteps(parts, vectors, [(vectors[0].numel(), 0.01, 0.01)], None, 2)
    data, order = TrainingRows(rows, labels), torch.arange(len(rows))
    whole = (len(rows) - 1) // BATCH * BATCH  # all but the last batch

    def epoch() -> float:
        head.load_state_dict(start)
        for moment in vectors[2:]:
            moment.zero_()
        taken, _ = steps.sweep(data, order[:whole], BATCH, 0)
        return steps.sweep(data, order[whole:], len(rows) - whole, taken)[1]

    return epoch


def _layer_step(layer: nn.Module, weights: Tensor, angles: Tensor, upstream: Tensor) -> tuple[Tensor, ...]:
    values = layer(angles)
    return values.detach(), *torch.autograd.grad(values, (angles, weights), upstream)


def _jax_steps(weights: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The layer's step, and an epoch of the head with its whole training step compiled."""
    import jax
    import jax.numpy as jnp
    import pennylane as qml

    @qml.qnode(qml.device("default.qubit", wires=N_QUBITS), interface="jax", diff_method="backprop")
    def circuit(inputs: Any, angles: Any) -> Any:
        _circuit(inputs, angles)
        return [qml.expval(qml.PauliZ(qubit)) for qubit in range(N_QUBITS)]

    def stacked(inputs: Any, angles: Any) -> Any:
        return jnp.stack(circuit(inputs, angles), -1)

    @jax.jit
    def layer(inputs: Any, angles: Any, upstream: Any) -> Any:
        values, pullback = jax.vjp(stacked, inputs, angles)
        return values, *pullback(upstream)

    head = _head(None)
    start = {
        "entry": jnp.asarray(head.entry.weight.detach().numpy()),
        "entry_bias": jnp.asarray(head.entry.bias.detach().numpy()),
        "weights": jnp.asarray(weights),
        "exit": jnp.asarray(head.exit.weight.detach().numpy()),
        "exit_bias": jnp.asarray(head.exit.bias.detach().numpy()),
    }

    def loss_of(params: Any, own: Any, truth: Any) -> Any:
        angles = jnp.tanh(own @ params["entry"].T + params["entry_bias"]) * (math.pi / 2)
        scores = stacked(angles, params["weights"]) @ params["exit"].T + params["exit_bias"]
        return -jnp.mean(jax.nn.log_softmax(scores)[jnp.arange(len(truth)), truth])

    @jax.jit
    def step(params: Any, first: Any, second: Any, count: Any, own: Any, truth: Any) -> Any:
        """AdamW as PyTorch's: decay 0.01, betas 0.9 and 0.999."""
        loss, slopes = jax.value_and_grad(loss_of)(params, own, truth)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slopes)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, slopes)

        def moved(p: Any, m: Any, v: Any) -> Any:
            change = (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
            return p * (1 - 0.01 * 0.01) - 0.01 * change

        return jax.tree.map(moved, params, first, second), first, second, loss

    batches = [
        (jnp.asarray(rows[i : i + BATCH]), jnp.asarray(labels[i : i + BATCH])) for i in range(0, len(rows), BATCH)
    ]

    def epoch() -> float:
        params = start
        first = jax.tree.map(jnp.zeros_like, start)
        second, loss = first, 0.0
        for count, (own, truth) in enumerate(batches, 1):
            params, first, second, loss = step(params, first, second, float(count), own, truth)
        return float(loss)

    return {"layer": layer, "head": epoch}


def _timed(contestants: dict[str, Callable[[], Any]], rounds: int, repeats: int) -> dict[str, float]:
    """Median milliseconds of each, in turns of some runs, after one turn that does not count."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            run()
            clock = time.perf_counter()
            for _ in range(repeats):
                run()
            if turn:
                spent[name].append(1e3 * (time.perf_counter() - clock) / repeats)
    return {name: median(own) for name, own in spent.items()}


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1f} x"


def _same(name: str, found: Sequence[Any], expected: Sequence[Any]) -> None:
    for ours, theirs in zip(expected, found, strict=True):
        gap = float(np.abs(np.asarray(ours) - np.asarray(theirs)).max())
        if gap > 2e-4:
            raise SystemExit(f"{name} computes something else: a difference of {gap:g}")


def _row(case: str, times: dict[str, float]) -> dict[str, Any]:
    rivals = {name: ms for name, ms in times.items() if name != "superpose"}
    in_torch = [ms for name, ms in rivals.items() if "jax" not in name]
    ours = times["superpose"]
    return {
        "case": case,
        "ours_ms": ours,
        "rivals_ms": rivals,
        "ratio_to_best": min(rivals.values()) / ours,
        "ratio_to_best_in_torch": min(in_torch) / ours if in_torch else None,
    }


def measure(cases: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the questions asked."""
    random = np.random.default_rng(0)
    ours = _head(None).middle
    block = ours.block  # type: ignore[attr-defined]  # a QuantumLayer's
    weights: Tensor = ours.weights  # type: ignore[assignment]
    foreign = {
        "pennylane torch, backprop": _Foreign(_pennylane_layer("default.qubit", "backprop"), weights),
        "pennylane torch, lightning adjoint": _Foreign(_pennylane_layer("lightning.qubit", "adjoint"), weights),
    }
    angles = torch.from_numpy(random.uniform(-1.5, 1.5, (BATCH, N_QUBITS)).astype(np.float32)).requires_grad_()
    upstream = torch.from_numpy(random.normal(size=(BATCH, N_QUBITS)).astype(np.float32))
    rows = random.normal(size=(N_PICTURES, N_FEATURES)).astype(np.float32)
    labels = (rows[:, 0] + rows[:, 1] > 0).astype(np.int64)
    jax = _jax_steps(weights.detach().numpy(), rows, labels)

    layers: dict[str, Callable[[], Any]] = {"superpose": lambda: _layer_step(ours, weights, angles, upstream)}
    for name, module in foreign.items():
        layers[name] = lambda module=module: _layer_step(module, module.weights, angles, upstream)
    numbers = (angles.detach().numpy(), weights.detach().numpy(), upstream.numpy())
    layers["pennylane jax.jit"] = lambda: [np.asarray(part) for part in jax["layer"](*numbers)]
    expected = layers["superpose"]()
    for name, run in layers.items():
        _same(name, run(), expected)
    say("layer: all give the same values and gradients")
    found = [_row("layer", _timed(layers, 5, 5))] if "layer" in cases else []

    program = compile_program(block.circuit, block.observables, inputs=block.angle_names, dtype="float32")
    arrays = {"superpose": lambda: program.value_and_grad(*numbers), "pennylane jax.jit": layers["pennylane jax.jit"]}
    _same("superpose, arrays", arrays["superpose"](), expected)
    found += [_row("arrays", _timed(arrays, 5, 5))] if "arrays" in cases else []

    features, truth = torch.from_numpy(rows), torch.from_numpy(labels)
    trained = {"pennylane torch, backprop": _head(foreign["pennylane torch, backprop"])}
    start = {name: {key: value.clone() for key, value in head.state_dict().items()} for name, head in trained.items()}

    def anew(name: str) -> float:
        """An epoch from the same first weights; building a head is not timed."""
        trained[name].load_state_dict(start[name])
        return _epoch(trained[name], features, truth)

    heads: dict[str, Callable[[], Any]] = {"superpose": _our_epoch(features, truth)}
    heads |= {name: lambda name=name: anew(name) for name in trained}  # lightning: 13 s
    heads["pennylane jax.jit"] = jax["head"]
    final = heads["superpose"]()
    for name, run in heads.items():
        _same(name, [run()], [final])
    say("head: all end an epoch at the same loss")
    found += [_row("head", _timed(heads, 3, 2))] if "head" in cases else []
    if "whole" not in cases:
        return found

    pictures = torch.rand(BATCH, 1, 28, 28)
    own_labels = truth[:BATCH]
    wholes: dict[str, Callable[[], Any]] = {}
    for name, layer in (("superpose", None), *((name, module.layer) for name, module in foreign.items())):
        network = nn.Sequential(SixConvolutions(24), _rest(layer, weights)).to(memory_format=torch.channels_last)
        wholes[name] = lambda network=network: _epoch(network, pictures, own_labels)
    found.append(_row("whole", _timed(wholes, 3, 3)))
    return found


def _rest(layer: Layer | None, weights: Tensor) -> nn.Module:
    torch.manual_seed(0)
    head = DressedHead(96, "hybrid", 0)
    if layer is not None:
        head.middle = _Foreign(layer, weights)
    return head


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--save", action="store_true", help="keep the rows in results/pneumonia.json, beside the rest")
    parser.add_argument("--case", action="append", choices=CASES, help="only these; may be repeated")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    versions = {name: version_of(name) for name in ("pennylane", "pennylane-lightning", "jax", "torch")}
    environment = environment_facts(1, versions=versions)
    rows = measure(arguments.case or CASES)
    if arguments.save:
        path = RESULTS / "pneumonia.json"
        content = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**content, "speed": {"environment": environment, "rows": rows}}, indent=1) + "\n")
    if arguments.json:
        print_json(environment, rows)
    else:
        shown = {
            "case": lambda row: row["case"],
            "superpose": lambda row: f"{row['ours_ms']:.3g} ms",
            "best of PennyLane": lambda row: f"{row['ratio_to_best']:.1f} x",
            "best of PennyLane in torch": lambda row: _times(row["ratio_to_best_in_torch"]),
        }
        print_table("Chest X-ray template: PennyLane's time over ours", rows, shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
