"""What a solved problem answers: every method's figures side by side, and a verdict made of them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from superpose.optimization.quadratic import Sense

__all__ = ["Answer", "MethodResult", "gap_percent", "verdict"]

Role = Literal["method", "control", "classical"]
Yardstick = Literal["proven optimum", "best known", "bound"]


@dataclass(frozen=True, slots=True, eq=False)
class MethodResult:
    """One method on one problem.

    Attributes:
        method: Its name.
        role: "method" (what was asked for), "control" or "classical".
        value: Objective of its best solution; None where it found none.
        gap_percent: How much worse that is than the answer's yardstick, in percent of it; None where there is none, or
            it is 0.
        feasible: Whether the solution meets all constraints; solutions that do not are never returned.
        repaired: Whether the domain's repair had to change the bit string behind it.
        share_feasible: Share of its bit strings that met all constraints as drawn; None for classical solvers.
        seconds: Wall time.
        n_rounds: Subproblems of a decomposition; 0 where the problem was solved whole.
        solution: In JSON values and the domain's words.
        reason: Why there is no value.
        facts: What else the method tells.
    """

    method: str
    role: Role
    value: float | None = None
    gap_percent: float | None = None
    feasible: bool = False
    repaired: bool = False
    share_feasible: float | None = None
    seconds: float = 0.0
    n_rounds: int = 0
    solution: Mapping[str, Any] | None = None
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A feasible solution, what others reached, and how far all are from the best that is possible or known.

    Attributes:
        kind, name, sense: Of the problem.
        n_variables: Of its quadratic form.
        method: What was asked for.
        solution: The best solution of that method, as the model has it.
        value: Its objective.
        bound: No solution is better; None where none is known.
        yardstick, yardstick_value: What gaps are measured against: the "proven optimum" (a value that meets the
            bound), else the "best known", else the "bound".
        gap_percent: Of this solution; None where there is no yardstick, or it is 0 and the value is not.
        rows: All methods, the one asked for first.
        penalties: How constraints became part of the QUBO; None for "classical".
        verdict: Whether the quantum part helped, in numbers.
        options: As given, JSON values.
    """

    kind: str
    name: str
    sense: Sense
    n_variables: int
    method: str
    solution: Any
    value: float
    bound: float | None
    yardstick: Yardstick | None
    yardstick_value: float | None
    gap_percent: float | None
    rows: tuple[MethodResult, ...]
    penalties: Mapping[str, Any] | None
    verdict: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        facts = {
            name: getattr(self, name)
            for name in (
                "kind", "name", "sense", "n_variables", "method", "value", "bound", "yardstick", "yardstick_value",
                "gap_percent", "verdict", "penalties", "options",
            )
        }  # fmt: skip
        rows = [asdict(row) for row in self.rows]
        return {**facts, "solution": rows[0]["solution"], "methods": rows}


def gap_percent(value: float, yardstick: float, sense: Sense, rounding: float | None = None) -> float | None:
    """Return how much worse a value is than a yardstick, in percent of the yardstick; below 0 where it is better.

    Args:
        value: An objective.
        yardstick: What it is measured against.
        sense: Whether the objective is to be small or large.
        rounding: Differences up to this are none; by default a thousand millionth of the yardstick.

    Returns:
        The percentage; None where the yardstick is 0 (but for rounding) and the value is another: it has no percent.

    >>> gap_percent(110.0, 100.0, "min"), gap_percent(90.0, 100.0, "max"), gap_percent(1.0, 0.0, "min")
    (10.0, 10.0, None)
    """
    excess = value - yardstick if sense == "min" else yardstick - value
    least = 1e-9 * abs(yardstick) if rounding is None else rounding
    if abs(excess) <= least:
        return 0.0
    return None if abs(yardstick) <= least else 100 * excess / abs(yardstick)


def verdict(
    rows: Sequence[MethodResult], sense: Sense, yardstick: str | None, n_layers: int, rounding: float | None = None
) -> str:
    """Return a sentence or two about whether the quantum method helped, made of the rows' numbers alone.

    It helped only where its value is strictly better than that of every other row, beyond ``rounding`` (by default a
    thousand millionth of it).
    """
    first = rows[0]
    if first.method not in ("qaoa", "vqe"):
        return "No quantum method was run."
    if first.value is None:
        return f"{first.method} found no feasible solution: {first.reason}"
    said = f"{first.method} with {_counted(n_layers, 'layer')} reached {_figures(first, yardstick)}"
    if first.n_rounds:
        said += f" in {_counted(first.n_rounds, 'round')} of decomposition"
    others = [row for row in rows[1:] if row.value is not None]
    if not others:
        return f"{said}. Nothing ran beside it, so nothing is said about whether the quantum part helped."
    said += "; " + ", ".join(f"{row.method} {_figures(row, yardstick)}" for row in others) + "."
    sign = 1.0 if sense == "min" else -1.0
    tolerance = 1e-9 * abs(first.value) if rounding is None else rounding
    equal = [row for row in others if sign * (row.value or 0.0) <= sign * first.value + tolerance]
    if not equal:
        return f"{said} None of the others reached it: here, in one run, the quantum part helped."
    quickest = min(equal, key=lambda row: row.seconds)
    better = sign * (quickest.value or 0.0) < sign * first.value - tolerance
    faster = quickest.seconds < first.seconds
    how = f", {_times(first, quickest)} times as fast" if faster else ""
    did = "did better" if better else "did as well"
    return f"{said} The quantum part did not help: {quickest.method} {did}{how}."


def _times(slow: MethodResult, quick: MethodResult) -> str:
    times = slow.seconds / max(quick.seconds, 1e-4)
    return f"{float(f'{times:.3g}'):,.0f}" if times >= 100 else f"{times:.3g}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _figures(row: MethodResult, yardstick: str | None) -> str:
    gap = "" if row.gap_percent is None else f", {row.gap_percent:.2f} % from the {yardstick}"
    return f"{row.value:.10g} ({row.seconds:.2f} s{gap})"
