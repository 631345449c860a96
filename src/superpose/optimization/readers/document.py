"""Problems as JSON: our own form, one object, its member "kind" says which."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemFormatError
from superpose.optimization.models import (
    GeneralModel,
    JobShop,
    Knapsack,
    MaxCut,
    Model,
    TravellingSalesman,
    VehicleRouting,
)
from superpose.optimization.quadratic import LinearConstraint, Pairs, QuadraticProblem

__all__ = ["read_document"]


def read_document(text: str, name: str = "problem") -> Model[Any]:
    """Return the problem that a JSON object says.

    By kind, beside which any may have "name" and "reference" (best objective known); indices count from 0:

    - ``{"kind": "maxcut", "edges": [[0, 1, 1.0], ...], "n_nodes": 3}``; weights are 1 where left out
    - ``{"kind": "knapsack", "values": [], "weights": [], "capacity": 5}``
    - ``{"kind": "tsp", "distances": [[]], "coordinates": [[]]}``
    - ``{"kind": "cvrp", "distances": [[]], "demands": [], "capacity": 5, "vehicles": 2, "coordinates": [[]]}``
    - ``{"kind": "jobshop", "jobs": [[[machine, duration], ...], ...], "horizon": 20}``
    - ``{"kind": "quadratic", "linear": [], "quadratic": [[i, j, value], ...], "constant": 0, "sense": "min",
      "constraints": [{"name": "", "indices": [], "coefficients": [], "relation": "<=", "bound": 1}],
      "conflicts": [[i, j], ...], "names": []}``

    Raises:
        ProblemFormatError: No such object, or a member is missing or of another form.
        ProblemError: Its numbers make no problem.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ProblemFormatError(f"{name} is not JSON.") from None
    if not isinstance(document, dict) or document.get("kind") not in list(_READERS):
        raise ProblemFormatError(f'{name} must be an object whose "kind" is one of {", ".join(_READERS)}.')
    kind = document["kind"]
    unknown = sorted(set(document) - _MEMBERS[kind] - {"kind", "name", "reference"})
    if unknown:
        allowed = ", ".join(sorted(_MEMBERS[kind] | {"name", "reference"}))
        raise ProblemFormatError(f"{name} has a member {unknown[0]!r} that a {kind} has not; those are {allowed}.")
    label = str(document.get("name", name))
    try:
        model = _READERS[kind](document, label)
        if document.get("reference") is not None:
            model.reference = float(document["reference"])
    except KeyError as error:
        raise ProblemFormatError(f"{name} lacks the member {error}.") from None
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ProblemFormatError(f"{name} has a member of another form: {error}.") from None
    return model


def _maxcut(document: Mapping[str, Any], name: str) -> MaxCut:
    edges = [[*edge, 1.0] if len(edge) == 2 else [*edge] for edge in document["edges"]]
    if any(len(edge) != 3 for edge in edges):
        raise ValueError("edges are [node, node] or [node, node, weight]")
    table = np.array(edges, np.float64).reshape(-1, 3)
    ends = _indices(table[:, :2])
    n = int(_indices(np.array(document.get("n_nodes", ends.max() + 1 if len(ends) else 0), np.float64)))
    return MaxCut(n, ends, table[:, 2], name=name)


def _floats(numbers: Any) -> npt.NDArray[np.float64]:
    """Numbers; a member of another form is a ValueError, which names the file."""
    return np.asarray(numbers, np.float64)


def _indices(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    if not np.all(np.abs(numbers) < 2.0**53) or np.any(numbers != np.floor(numbers)):
        raise ValueError("indices are whole numbers")
    return numbers.astype(np.int64)


def _quadratic(document: Mapping[str, Any], name: str) -> GeneralModel:
    linear = document["linear"]
    table = np.array(document.get("quadratic", []), np.float64).reshape(-1, 3)
    ends = _indices(table[:, :2])
    pairs = Pairs(ends[:, 0], ends[:, 1], table[:, 2], len(linear))
    rows = [
        LinearConstraint(
            str(row.get("name", f"constraint {k + 1}")),
            _indices(_floats(row["indices"])),
            row["coefficients"],
            row["relation"],
            row["bound"],
        )
        for k, row in enumerate(document.get("constraints", []))
    ]
    problem = QuadraticProblem(
        linear,
        pairs,
        constant=float(document.get("constant", 0.0)),
        sense=document.get("sense", "min"),
        constraints=rows,
        conflicts=_indices(_floats(document.get("conflicts", []))),
        names=document.get("names", ()),
        name=name,
    )
    return GeneralModel(problem)


_MEMBERS: Mapping[str, frozenset[str]] = {
    "maxcut": frozenset({"edges", "n_nodes"}),
    "knapsack": frozenset({"values", "weights", "capacity"}),
    "tsp": frozenset({"distances", "coordinates"}),
    "cvrp": frozenset({"distances", "demands", "capacity", "vehicles", "coordinates"}),
    "jobshop": frozenset({"jobs", "horizon"}),
    "quadratic": frozenset({"linear", "quadratic", "constant", "sense", "constraints", "conflicts", "names"}),
}

_READERS: Mapping[str, Callable[[Mapping[str, Any], str], Model[Any]]] = {
    "maxcut": _maxcut,
    "knapsack": lambda d, name: Knapsack(_floats(d["values"]), _floats(d["weights"]), float(d["capacity"]), name=name),
    "tsp": lambda d, name: TravellingSalesman(_floats(d["distances"]), d.get("coordinates"), name=name),
    "cvrp": lambda d, name: VehicleRouting(
        _floats(d["distances"]),
        _floats(d["demands"]),
        float(d["capacity"]),
        d["vehicles"],
        d.get("coordinates"),
        name=name,
    ),
    "jobshop": lambda d, name: JobShop(d["jobs"], d.get("horizon"), name=name),
    "quadratic": _quadratic,
}
