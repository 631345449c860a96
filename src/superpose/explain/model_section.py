"""The model card's section on what a model is, for each kind of model file; a pure function of the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["counted", "escaped", "listed", "model_lines", "title_of_model", "verbatim"]

MAX_CLASSES = 20
"""Classes that are named, at most."""


def escaped(value: object) -> str:
    """Text that Markdown shows as it is, on one line."""
    safe = "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+|!~&" else c for c in str(value))
    return " ".join(safe.split())


def verbatim(value: object) -> str:
    """Text as Markdown's code, on one line: a digest or a name in which nothing is escaped."""
    return f"`{' '.join(str(value).replace('`', chr(39)).split())}`"


def listed(labels: Sequence[str]) -> str:
    """The first of some texts, which are escaped already, and how many more there are."""
    more = f" and {len(labels) - MAX_CLASSES} more" if len(labels) > MAX_CLASSES else ""
    return f"{', '.join(labels[:MAX_CLASSES])}{more}"


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number and what it counts, as "1 layer" and "2 layers"."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def title_of_model(manifest: Mapping[str, Any]) -> str:
    """What a model is, in the card's first line."""
    family = _family_of(manifest)
    if family:
        return f"{escaped(family['name'].replace('_', ' '))} classifier"
    return f"hybrid quantum-classical {'regressor' if 'target' in manifest['pipeline'] else 'classifier'}"


def model_lines(manifest: Mapping[str, Any]) -> list[str]:
    """The section's lines of Markdown.

    Args:
        manifest: of a model file of any kind.
    """
    pipeline = manifest["pipeline"]
    network = pipeline["network"]
    predicts = _target(pipeline["target"]) if "target" in pipeline else _classes(pipeline["classes"])
    if "module" in network:
        return [predicts, *_family(manifest), *_module(manifest, network)]
    if "circuits" in network:
        return [predicts, *_family(manifest), *_circuits(network)]
    circuit = network["circuit"]
    spec = manifest.get("provenance", {}).get("spec", {}).get("model", {})
    made_of = ""
    if spec:
        ansatz = spec["ansatz"]
        layers = counted(ansatz["layers"], "layer")
        made_of = f", {spec['encoding']['name']} encoding, {layers} of the {ansatz['name']} ansatz"
    end = "one number" if "target" in pipeline else f"{len(pipeline['classes'])} classes, softmax"
    return [
        predicts,
        f"- Architecture: linear layer from {network['n_columns']} encoded columns to {circuit['n_inputs']} angles of "
        f"at most {network['max_angle']:.4g} radians, circuit, linear layer to {end}",
        f"- Circuit: {network['n_qubits']} qubits, {len(circuit['weight_names'])} trained angles, "
        f"{len(circuit['observables'])} observables{escaped(made_of)}",
        f"- Parameters: {network['n_params']}",
        "- Predictions are computed by simulating the circuit exactly on a classical machine, without shot noise.",
    ]


def _family_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name and hyperparameters of the family, or nothing."""
    return (manifest.get("provenance") or {}).get("family") or {}


def _family(manifest: Mapping[str, Any]) -> list[str]:
    family = _family_of(manifest)
    if not family:
        return []
    said = ", ".join(f"{name} {value}" for name, value in sorted(family["params"].items()) if value is not None)
    return [f"- Family: {escaped(family['name'])}; hyperparameters: {escaped(said)}"]


def _circuits(network: Mapping[str, Any]) -> list[str]:
    """Of a family that is arrays around circuits."""
    circuits = network["circuits"]
    n_observables = sum(len(circuit["observables"]) for circuit in circuits)
    n_angles = sum(len(circuit["weight_names"]) for circuit in circuits)
    made_of = f"{len(circuits)} of up to {network['n_qubits']} qubits, {n_angles} angles, {n_observables} observables"
    exact = "- Predictions are computed by simulating circuits exactly on a classical machine, without shot noise."
    return [
        f"- Circuits: {made_of if circuits else 'none'}; {network['n_columns']} encoded columns",
        f"- Parameters: {network['n_params']}",
        *([exact] if circuits else []),
    ]


def _target(target: Mapping[str, Any]) -> str:
    return f"- Predicts a number: {escaped(target['name'])}"


def _classes(classes: Sequence[Any]) -> str:
    return f"- Classes: {listed([escaped(label) for label in classes])}"


def _module(manifest: Mapping[str, Any], network: Mapping[str, Any]) -> list[str]:
    module, layers = network["module"], network["module"]["layers"]
    circuits = ", ".join(
        f"{layer['n_qubits']} qubits with {len(layer['weight_names'])} angles and "
        f"{len(layer['observables'])} observables"
        for layer in layers.values()
    )
    digest = (manifest.get("provenance") or {}).get("module", {}).get("digest")
    template = (manifest.get("provenance") or {}).get("template")
    whose = "the PyTorch module" if _family_of(manifest) or template else "the user's own PyTorch module"
    return [
        f"- Architecture: {whose} {escaped(module['name'])}, exported to a graph of "
        f"{len(module['operators'])} kinds of operators; {network['n_columns']} encoded columns to "
        f"{module['n_outputs']} outputs, trained with {escaped(network['loss'])}",
        f"- Circuits: {circuits or 'none'}",
        f"- Parameters: {network['n_params']}, of which {module['n_trainable']} were trained",
        *([f"- Exported module (SHA-256): {verbatim(digest)}"] if digest else []),
        *(["- Circuits are simulated exactly on a classical machine, without shot noise."] if layers else []),
    ]
