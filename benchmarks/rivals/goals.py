"""What a row shows beside its times: the goal for its size, whether it is met, and who need not run again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from rivals.circuit import Case
from rivals.process import TOO_LONG

__all__ = ["Patience", "goal_of", "judged"]

_FAR, _TIMES, _VERY_FAR = 30.0, 2, 100.0
_ALWAYS_FROM = 16


def goal_of(case: Case, best_rival_ms: float) -> float:
    """How many times faster than the fastest rival ours is to be: 10, 4 or 1 from 1 ms, 0.1 ms and below.

    One sample of 16 to 20 qubits: 5 in place of 10.
    """
    if best_rival_ms < 0.1:
        return 1.0
    if best_rival_ms < 1.0:
        return 4.0
    return 5.0 if case.batch == 1 and 16 <= case.n_qubits <= 20 else 10.0


def judged(
    case: Case, ours: Mapping[str, Any], rivals: Mapping[str, Mapping[str, Any]], *, gradients: bool = True
) -> dict[str, Any]:
    """The best rival, the ratio to it, the goal and whether it is met (None without both times)."""
    timed = {name: report["ms"] for name, report in rivals.items() if "ms" in report}
    best = min(timed, key=timed.__getitem__) if timed else None
    ratio = timed[best] / ours["ms"] if best and "ms" in ours else None
    goal = (goal_of(case, timed[best]) if gradients else 1.0) if best else None
    return {
        "best_rival": best,
        "best_rival_ms": timed[best] if best else None,
        "ratio_to_best": ratio,
        "goal": goal,
        "met": ratio >= goal if ratio is not None and goal is not None else None,
    }


class Patience:
    """Remembers who was far behind the best rival or took too long to build, and spares them the larger cases.

    Far behind is more than 30 times slower twice in a family or 100 times once, one sample and batches counted apart;
    from 16 qubits, where the order changes, everybody runs. Who took too long to build is spared circuits of the family
    that have no fewer gates.
    """

    def __init__(self) -> None:
        self._far: dict[tuple[str, str, bool], list[tuple[str, float]]] = defaultdict(list)
        self._unbuilt: dict[tuple[str, str], list[Case]] = defaultdict(list)

    def reason(self, name: str, case: Case) -> str | None:
        """Why a rival is not run in this case, or None."""
        for smaller in self._unbuilt[name, case.family]:
            if smaller.n_qubits * smaller.layers <= case.n_qubits * case.layers:
                return f"not run: took too long to build at {smaller.size}"
        before = self._far[name, case.family, case.batch == 1]
        enough = len(before) >= _TIMES or any(times > _VERY_FAR for _, times in before)
        if not enough or case.n_qubits >= _ALWAYS_FROM:
            return None
        told = " and ".join(f"{times:.0f} times at {size}" for size, times in before[:_TIMES])
        return f"not run: slower than the best rival by {told}"

    def learn(self, case: Case, row: Mapping[str, Any]) -> None:
        """Takes a finished row into account."""
        for name, report in row["rivals"].items():
            if TOO_LONG in report.get("unavailable", ""):
                self._unbuilt[name, case.family].append(case)
            elif "ms" in report and row["best_rival_ms"] and report["ms"] > _FAR * row["best_rival_ms"]:
                times = report["ms"] / row["best_rival_ms"]
                self._far[name, case.family, case.batch == 1].append((case.size, times))
