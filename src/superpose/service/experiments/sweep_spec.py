"""What a sweep searches: a base spec, a space over its fields, how trials are proposed and judged.

As JSON or YAML::

    spec: {training: {epochs: 40}}
    space:
      model.n_qubits: {int: [2, 6]}
      model.ansatz.name: {choice: [strongly_entangling, hardware_efficient]}
      training.learning_rate: {float: [0.001, 0.1], log: true}
    objective: {metric: accuracy, folds: 3}
    sampler: {name: tpe, seed: 0}
    pruner: {name: median, startup_trials: 5, warmup_folds: 1}
    n_trials: 30
    parallelism: 2
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self

from superpose.circuits.finite import is_finite
from superpose.errors import SpecError
from superpose.service.store.database import json_text
from superpose.trust import sha256_bytes

if TYPE_CHECKING:
    from superpose.learning import TrainingSpec

__all__ = ["MAX_TRIALS", "SAMPLERS", "Dimension", "Pruner", "SweepSpec"]

SAMPLERS = ("tpe", "random", "grid")
MAX_TRIALS = 1_000
MAX_GRID_VALUES = 10_000
MAX_PARALLELISM = 64
MAX_FOLDS = 20
MAX_DIMENSIONS = 30
_FIELDS = ("spec", "space", "objective", "sampler", "pruner", "n_trials", "parallelism")
_SECTIONS = ("model", "preprocessing", "training", "fine_tune")

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Dimension:
    """One field of the spec and the values it may take: a range of numbers, or a list of choices."""

    path: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()

    @classmethod
    def from_dict(cls, path: str, document: Any) -> Self:
        """Read ``{"int": [2, 6], "step": 2}``, ``{"float": [0.1, 1], "log": true}``, ``{"choice": [...]}`` or a list.

        Raises:
            SpecError: another form, or an empty range.
        """
        place = f"space.{path}"
        if isinstance(document, list):
            document = {"choice": document}
        kinds = [kind for kind in ("int", "float", "choice") if isinstance(document, Mapping) and kind in document]
        if len(kinds) != 1:
            raise SpecError("must be {int: [low, high]}, {float: [low, high]} or {choice: [...]}", place)
        kind = kinds[0]
        unknown = sorted(set(document) - {kind, *(("step", "log") if kind != "choice" else ())})
        if unknown:
            raise SpecError(f"has no field {unknown[0]!r}", f"{place}.{unknown[0]}")
        if kind == "choice":
            return cls(path, kind, choices=_choices(document[kind], place))
        return cls(path, kind, *_range(document, kind, place))

    def to_dict(self) -> dict[str, Any]:
        """The form that ``from_dict`` reads."""
        if self.kind == "choice":
            return {"choice": list(self.choices)}
        number = int if self.kind == "int" else float
        found: dict[str, Any] = {self.kind: [number(self.low), number(self.high)], "log": self.log}
        return found if self.step is None else {**found, "step": number(self.step)}

    def extremes(self) -> tuple[Value, ...]:
        """Values that stand for all: both ends of a range, or every choice."""
        number = int if self.kind == "int" else float
        return self.choices if self.kind == "choice" else (number(self.low), number(self.high))

    def grid(self) -> tuple[Value, ...]:
        """Every value, for a grid.

        Raises:
            SpecError: a range of numbers without a step has no end of values.
        """
        if self.kind == "choice":
            return self.choices
        step = self.step or (1 if self.kind == "int" and not self.log else None)
        if step is None:
            raise SpecError("needs a step, or a list of choices, for the sampler grid", f"space.{self.path}")
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > MAX_GRID_VALUES:
            raise SpecError(f"has {count:,} values; a grid takes at most {MAX_GRID_VALUES:,} of one field", self.path)
        number = int if self.kind == "int" else float
        return tuple(number(self.low + place * step) for place in range(count))


@dataclass(frozen=True)
class Pruner:
    """Ends a trial whose value after a fold is worse than the median of earlier trials after that fold."""

    startup_trials: int = 5
    warmup_folds: int = 1


@dataclass(frozen=True)
class SweepSpec:
    """All of a sweep; equal sweeps on equal data propose equal trials."""

    base: TrainingSpec
    space: tuple[Dimension, ...]
    metric: str
    n_folds: int
    sampler: str
    seed: int
    pruner: Pruner | None
    n_trials: int
    parallelism: int

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read and check a sweep.

        Raises:
            SpecError: an unknown field or a value out of range; names the field.
        """
        from superpose.learning import TrainingSpec
        from superpose.learning.metrics import METRICS

        if not isinstance(document, Mapping):
            raise SpecError(f"must be an object of fields, got {type(document).__name__}", "sweep")
        unknown = sorted(map(str, set(document) - set(_FIELDS)))
        if unknown:
            raise SpecError(f"is not a field of a sweep; allowed are {', '.join(_FIELDS)}", unknown[0])
        base = TrainingSpec.from_dict(dict(_section(document, "spec")))
        space = _space(document.get("space"))
        objective = _section(document, "objective", "metric", "folds")
        sampler = _section(document, "sampler", "name", "seed")
        metric = objective.get("metric", base.evaluation.primary_metric)
        if not isinstance(metric, str) or metric not in METRICS:
            raise SpecError(f"must be one of {', '.join(METRICS)}, got {metric!r}", "objective.metric")
        name = sampler.get("name", "tpe")
        if name not in SAMPLERS:
            raise SpecError(f"must be one of {', '.join(SAMPLERS)}, got {name!r}", "sampler.name")
        size = math.prod(len(d.grid()) for d in space) if name == "grid" else None
        wanted = _whole(document.get("n_trials", min(size or 20, MAX_TRIALS)), "n_trials", 1, MAX_TRIALS)
        found = cls(
            base=base,
            space=space,
            metric=metric,
            n_folds=_whole(objective.get("folds", 3), "objective.folds", 2, MAX_FOLDS),
            sampler=name,
            seed=_whole(sampler.get("seed", 0), "sampler.seed", 0, 2**32 - 1),
            pruner=_pruner(document.get("pruner")),
            n_trials=wanted if size is None else min(wanted, size),
            parallelism=_whole(document.get("parallelism", 1), "parallelism", 1, MAX_PARALLELISM),
        )
        for dimension in space:  # each end of each range by itself must be a good spec
            for value in dimension.extremes():
                found.spec_of({dimension.path: value})
        return found

    def to_dict(self) -> dict[str, Any]:
        """All fields, defaults included; ``from_dict`` reads it back to an equal sweep."""
        return {
            "spec": self.base.to_dict(),
            "space": {dimension.path: dimension.to_dict() for dimension in self.space},
            "objective": {"metric": self.metric, "folds": self.n_folds},
            "sampler": {"name": self.sampler, "seed": self.seed},
            "pruner": None
            if self.pruner is None
            else {
                "name": "median",
                "startup_trials": self.pruner.startup_trials,
                "warmup_folds": self.pruner.warmup_folds,
            },
            "n_trials": self.n_trials,
            "parallelism": self.parallelism,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the sweep's canonical JSON."""
        return sha256_bytes(json_text(self.to_dict()).encode())

    @property
    def higher_is_better(self) -> bool:
        """Whether the objective is maximised."""
        from superpose.learning.metrics import METRICS

        return METRICS[self.metric].higher_is_better

    def spec_of(self, params: Mapping[str, Value]) -> TrainingSpec:
        """The training spec of a trial: the base with these fields set.

        Raises:
            SpecError: a value that the field does not take; names the field.
        """
        from superpose.learning import TrainingSpec

        document = deepcopy(self.base.to_dict())
        for path, value in params.items():
            *sections, last = path.split(".")
            place: Any = document
            for section in sections:
                place = _inside(place, section, path)[section]
            _inside(place, last, path)[last] = value
        return TrainingSpec.from_dict(document)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Every point of the space, the last field changing fastest."""
        for values in itertools.product(*(dimension.grid() for dimension in self.space)):
            yield dict(zip((dimension.path for dimension in self.space), values, strict=True))


def _section(document: Mapping[str, Any], name: str, *allowed: str) -> Mapping[str, Any]:
    found = document.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise SpecError(f"must be an object of fields, got {type(found).__name__}", name)
    unknown = sorted(set(found) - set(allowed)) if allowed else []
    if unknown:
        raise SpecError(f"is no such field; allowed are {', '.join(allowed)}", f"{name}.{unknown[0]}")
    return found


def _space(document: Any) -> tuple[Dimension, ...]:
    if not isinstance(document, Mapping) or not 1 <= len(document) <= MAX_DIMENSIONS:
        raise SpecError(f"must have 1 to {MAX_DIMENSIONS} fields of the training spec to search over", "space")
    for path in document:
        if str(path).split(".")[0] not in _SECTIONS or path == "training.seed":
            raise SpecError(
                f"cannot be searched over; allowed are fields of {', '.join(_SECTIONS)}, such as model.n_qubits, and "
                "not training.seed, which the folds are drawn by",
                f"space.{path}",
            )
    return tuple(Dimension.from_dict(str(path), form) for path, form in document.items())


def _choices(values: Any, place: str) -> tuple[Value, ...]:
    plain = isinstance(values, list) and all(v is None or isinstance(v, str | int | float | bool) for v in values)
    if not plain or not 1 <= len(values) <= 100:
        raise SpecError("must list 1 to 100 plain values", f"{place}.choice")
    if len({(type(v), v) for v in values}) != len(values):
        raise SpecError("lists a value twice", f"{place}.choice")
    return tuple(values)


def _range(document: Mapping[str, Any], kind: str, place: str) -> tuple[float, float, float | None, bool]:
    ends, step, log = document[kind], document.get("step"), document.get("log", False)
    if not isinstance(ends, list) or len(ends) != 2 or not all(_is_number(end, kind) for end in ends):
        raise SpecError(f"must be [low, high], two finite numbers{' without fraction' * (kind == 'int')}", place)
    low, high = ends
    if low > high:
        raise SpecError(f"has low {low!r} above high {high!r}", place)
    if not isinstance(log, bool) or (log and (low <= 0 or step is not None)):
        raise SpecError("must be true or false, and true only with low above 0 and without step", f"{place}.log")
    if step is not None and (not _is_number(step, kind) or step <= 0):
        raise SpecError("must be a number above 0", f"{place}.step")
    return low, high, step, log


def _is_number(value: Any, kind: str) -> bool:
    allowed = int if kind == "int" else int | float
    return isinstance(value, allowed) and not isinstance(value, bool) and is_finite(value)


def _whole(value: Any, place: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SpecError(f"must be a whole number from {low} to {high}, got {value!r}", place)
    return value


def _pruner(document: Any) -> Pruner | None:
    if document is None:
        return None
    found = _section({"pruner": document}, "pruner", "name", "startup_trials", "warmup_folds")
    if found.get("name") != "median":
        raise SpecError(f"must be median, or no pruner at all; got {found.get('name')!r}", "pruner.name")
    return Pruner(
        _whole(found.get("startup_trials", 5), "pruner.startup_trials", 1, MAX_TRIALS),
        _whole(found.get("warmup_folds", 1), "pruner.warmup_folds", 0, MAX_FOLDS),
    )


def _inside(place: Any, name: str, path: str) -> dict[str, Any]:
    """The mapping of a training spec in which ``name`` is a field.

    Raises:
        SpecError: it is none there; says which are.
    """
    if isinstance(place, dict) and name in place:
        return place
    said = "is not a field of the training spec, or of a mapping in it that the sweep's spec leaves out"
    if isinstance(place, dict) and place:
        near = get_close_matches(name, place, n=1)
        said += f"; did you mean {near[0]!r} for {name!r}?" if near else ""
        said += f" (fields there: {', '.join(place)})"
    raise SpecError(said, f"space.{path}")
