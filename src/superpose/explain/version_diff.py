"""What sets two model versions apart: spec, data, figures, circuit, weights, environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from superpose.learning import ModelFile

__all__ = ["diff_versions"]

Side = tuple[Mapping[str, Any], Mapping[str, Any], "ModelFile | None"]

_BESIDE = ("family", "estimator", "module", "template", "configuration_sha256", "horizon", "seed")
"""What of a manifest's provenance is a recipe too, beside the spec or instead of one."""
_TOLD_APART = ("data", "release", "template")
"""What of a template's configuration is told beside the recipe."""
_SPLITTING = ("n_splits", "test_fraction", "validation_fraction")


def diff_versions(before: Side, after: Side) -> dict[str, Any]:
    """The differences between two versions, as JSON values.

    Args:
        before: manifest, evaluation and model file of the first version; None for a file of another kind.
        after: the same of the second.

    Returns:
        ``spec``: changed fields of the recipe (a spec; of a family its name and hyperparameters, of an exported module
        its digest, of a template its configuration, or the digest of that where a file has no more), each with path,
        before and after. ``data``: digest and row counts of both, and whether they are the same content (``same``; None
        where a file does not tell). ``metrics``: for each figure of the hybrid model its mean and interval on both
        sides and the difference after - before; where both were measured on the very same splits also the interval of
        that difference (``paired``, corrected for the overlap of splits, Nadeau and Bengio 2003). ``circuit``: qubits,
        gates and parameters. ``weights``: per array both norms and, where shapes agree, the norm of the difference.
        ``environment``: versions of the software. ``told``: of ``spec`` and ``environment``, whether any of the two
        files tells it; where none does, no changes mean nothing.
    """
    recipes = _recipes(before, after)
    versions = [_part(side, "provenance", "versions") for side in (before, after)]
    return {
        "spec": _changes(*recipes),
        "data": _data(before, after),
        "metrics": _metrics(before, after),
        "circuit": _circuits(before, after),
        "weights": _weights(before[2], after[2]),
        "environment": _changes(*versions),
        "told": {"spec": any(recipes), "environment": any(versions)},
    }


def _recipes(before: Side, after: Side) -> list[dict[str, Any]]:
    """What each version was trained by, in fields of one document; empty where its file does not tell."""
    found = []
    for side in (before, after):
        provenance = _part(side, "provenance") or {}
        beside = {name: provenance[name] for name in _BESIDE if name in provenance}
        found.append({**(provenance.get("spec") or {}), **beside})
    configurations = [_part(side, "provenance", "configuration") for side in (before, after)]
    if all(isinstance(one, Mapping) for one in configurations):  # else their digests are all that can be compared
        for recipe, configuration in zip(found, configurations, strict=True):
            recipe.pop("configuration_sha256", None)
            recipe |= {name: value for name, value in configuration.items() if name not in _TOLD_APART}
    return found


def _part(side: Side, *path: str) -> Any:
    found: Any = side[0]
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif value is not None or path:
        yield path, value


def _changes(before: Any, after: Any) -> list[dict[str, Any]]:
    """Fields whose values differ, by path; a field that one side lacks is None there."""
    one, two = dict(_flat(before)), dict(_flat(after))
    paths = [*one, *(path for path in two if path not in one)]
    return [
        {"path": path, "before": one.get(path), "after": two.get(path)}
        for path in paths
        if one.get(path) != two.get(path)
    ]


def _data(before: Side, after: Side) -> dict[str, Any]:
    sides = [_part(side, "data") or {} for side in (before, after)]
    names = ("name", "digest", "n_rows", "n_features", "target")
    first, second = ({name: data.get(name) for name in names} for data in sides)
    known = first["digest"] is not None and second["digest"] is not None
    same = first["digest"] == second["digest"] if known else None
    return {"same": same, "before": first, "after": second}


def _metrics(before: Side, after: Side) -> dict[str, Any]:
    first, second = (_figures(side) for side in (before, after))
    paired = _same_splits(before, after)
    rows = {}
    for name in [*first, *(name for name in second if name not in first)]:
        one, two = first.get(name), second.get(name)
        row: dict[str, Any] = {"before": _interval(one), "after": _interval(two), "difference": None, "paired": None}
        if one and two:
            row["difference"] = two["mean"] - one["mean"]
            row["paired"] = _paired(one["values"], two["values"], name, after) if paired else None
        rows[name] = row
    return {"same_splits": paired, "figures": rows}


def _figures(side: Side) -> Mapping[str, Any]:
    models = side[1].get("models") or {}
    return dict((models.get("hybrid") or {}).get("metrics") or {})


def _interval(figure: Mapping[str, Any] | None) -> dict[str, float] | None:
    return None if figure is None else {name: figure[name] for name in ("mean", "low", "high")}


def _same_splits(before: Side, after: Side) -> bool:
    """Whether both were measured on the same test rows: same content, same seed, same splitting."""
    keys = []
    for side in (before, after):
        evaluation = _part(side, "provenance", "spec", "evaluation") or {}
        seed = _part(side, "provenance", "spec", "training", "seed")
        others = {name: value for name, value in evaluation.items() if name in _SPLITTING or "split" in name}
        by = _part(side, "provenance", "spec", "split")
        keys.append((_part(side, "data", "digest"), seed, others, side[1].get("confidence"), by))
    return keys[0] == keys[1] and keys[0][0] is not None and bool(keys[0][2])


def _paired(one: list[float], two: list[float], metric: str, side: Side) -> dict[str, Any] | None:
    from superpose.learning.verdicts import compare

    split = _part(side, "data", "split") or {}
    if len(one) != len(two) or len(one) < 2 or not split.get("train"):
        return None
    ratio = split["test"] / split["train"]
    found = compare(
        two, {"baseline": one}, metric=metric, test_over_train=ratio, confidence=side[1].get("confidence", 0.95)
    )[0]
    return {name: getattr(found, name) for name in ("low", "high", "p_value", "outcome")}


def _circuits(before: Side, after: Side) -> dict[str, Any]:
    return {name: _circuit(side) for name, side in (("before", before), ("after", after))}


def _circuit(side: Side) -> dict[str, Any] | None:
    if side[2] is None:
        return None
    model = side[2].model
    if not model.blocks:
        return None
    circuits = [block.circuit for block in model.blocks]
    items = [item for circuit in circuits for item in circuit.instructions]
    gates = Counter(str(getattr(item, "gate", type(item).__name__.lower())) for item in items)
    return {
        "n_qubits": max(circuit.n_qubits for circuit in circuits),
        "n_gates": sum(gates.values()),
        "gates": dict(sorted(gates.items())),
        "n_weights": sum(block.n_weights for block in model.blocks),
        "n_params": model.n_params,
        "n_observables": sum(block.n_outputs for block in model.blocks),
    }


def _weights(before: ModelFile | None, after: ModelFile | None) -> dict[str, Any] | None:
    """Norms (Frobenius) of each trained array and of its change."""
    if before is None or after is None:
        return None
    one, two = before.model.arrays, after.model.arrays
    rows = {}
    for name in sorted(set(one) | set(two)):
        first, second = one.get(name), two.get(name)
        difference = None
        if first is not None and second is not None and first.shape == second.shape:
            difference = float(np.linalg.norm(second.astype(np.float64) - first.astype(np.float64)))
        rows[name] = {
            "before": {"shape": list(first.shape), "norm": float(np.linalg.norm(first))} if first is not None else None,
            "after": {"shape": list(second.shape), "norm": float(np.linalg.norm(second))}
            if second is not None
            else None,
            "difference": difference,
        }
    return rows
