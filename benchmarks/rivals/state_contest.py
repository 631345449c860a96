"""Runs the contestants of `state_vectors.py` against one another: equal numbers first, then turns, A B C A B C."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from rivals.process import surroundings

__all__ = ["RIVALS", "Case", "Contest", "circuits"]

RIVALS = ("qulacs", "aer", "lightning")
_CHILD = Path(__file__).resolve().with_name("state_vectors.py")
_N_PLACES = 400
TOLERANCE = {"double": 1e-9, "single": 3e-4}
"""Of one minus the overlap of the amplitudes that are compared, up to a global phase; see `Contest._disagreement`."""


class Case(NamedTuple):
    """A circuit, as gates ``(name, qubits, angles)``."""

    name: str
    n_qubits: int
    gates: list[tuple[str, list[int], list[float]]]


def circuits(name: str, n_qubits: int) -> Case:
    """Return "qft" (of a product state), "random" (layers of u and CX or CZ) or "volume" (like quantum volume)."""
    rng = np.random.default_rng(n_qubits)
    gates: list[tuple[str, list[int], list[float]]] = []
    if name == "qft":
        gates += [("ry", [q], [float(rng.uniform(0, 3))]) for q in range(n_qubits)]
        for q in range(n_qubits):
            gates.append(("h", [q], []))
            gates += [("cp", [k, q], [float(np.pi / 2 ** (k - q))]) for k in range(q + 1, n_qubits)]
        gates += [("swap", [q, n_qubits - 1 - q], []) for q in range(n_qubits // 2)]
    elif name == "random":
        for layer in range(10):
            gates += [("u", [q], rng.uniform(0, 6.28, 3).tolist()) for q in range(n_qubits)]
            gates += [(str(rng.choice(["cx", "cz"])), [q, q + 1], []) for q in range(layer % 2, n_qubits - 1, 2)]
    elif name == "volume":
        for _ in range(5):
            order = rng.permutation(n_qubits).tolist()
            for pair in zip(order[::2], order[1::2], strict=False):
                for _ in range(2):
                    gates += [("u", [q], rng.uniform(0, 6.28, 3).tolist()) for q in pair]
                    gates += [(kind, list(pair), [float(rng.normal())]) for kind in ("rxx", "ryy", "rzz")]
    else:
        raise ValueError(f"name must be qft, random or volume, got {name!r}")
    return Case(f"{name}_n{n_qubits}", n_qubits, gates)


class _Child:
    """One contestant's process."""

    def __init__(self, python: str, threads: int) -> None:
        self.process = subprocess.Popen(
            [python, "-P", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=surroundings(threads),
        )

    def ask(self, limit_s: float, **request: Any) -> dict[str, Any]:
        """Return the answer, or raise RuntimeError with the reason why there is none."""
        timer = threading.Timer(limit_s, self.process.kill)
        timer.start()
        try:
            if self.process.stdin is None or self.process.stdout is None:
                raise RuntimeError("the process has no pipes")
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise RuntimeError(f"it died or took more than {limit_s:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise RuntimeError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()


class Contest:
    """All contestants on one circuit.

    Args:
        python: The interpreter that has the rivals.
        precision: "double" or "single".
        threads: For each contestant.
        limit_s: For one answer.
        say: Takes lines of progress.
    """

    def __init__(
        self, python: str, precision: str, threads: int, limit_s: float, say: Callable[[str], None], *, alone: bool
    ) -> None:
        self._python, self._precision, self._threads = python, precision, threads
        self._limit_s, self._say, self._alone = limit_s, say, alone

    def row(self, case: Case, contestants: Sequence[str], rounds: int, request: dict[str, Any]) -> dict[str, Any]:
        """Return the row of one circuit: ``request`` is what is timed.

        With ``alone`` each contestant's process ends before the next one's starts (large states); else they take turns.
        """
        places = np.random.default_rng(0).choice(1 << case.n_qubits, min(_N_PLACES, 1 << case.n_qubits), replace=False)
        found: dict[str, dict[str, Any]] = {}
        children: dict[str, _Child] = {}
        want: Any = None
        for name in ("superpose", *contestants):
            self._say(f"{case.name} {self._precision}: {name}")
            python = sys.executable if name == "superpose" else self._python
            child = children[name] = _Child(python, self._threads)
            entry = found[name] = {"turns": []}
            try:
                facts = child.ask(
                    self._limit_s,
                    op="setup",
                    contestant=name,
                    n_qubits=case.n_qubits,
                    gates=case.gates,
                    precision=self._precision,
                    threads=self._threads,
                    places=places.tolist(),
                )
                values = np.array(facts["amplitudes"]) @ [1, 1j]
                want = values if want is None else want
                wrong = self._disagreement(values, want, case.n_qubits)
                if wrong > TOLERANCE[self._precision]:
                    raise RuntimeError(f"its amplitudes differ by {wrong:.2g}")
                entry["first_ms"] = facts["first_ms"]
                for _ in range(rounds if self._alone else 0):
                    self._turn(child, entry, request)
            except RuntimeError as error:
                entry["unavailable"] = str(error)
            if self._alone or "unavailable" in entry:
                children.pop(name).close()
        for _ in range(0 if self._alone else rounds):
            for name, child in list(children.items()):
                try:
                    self._turn(child, found[name], request)
                except RuntimeError as error:
                    found[name]["unavailable"] = str(error)
                    children.pop(name).close()
        for child in children.values():
            child.close()
        return self._report(case, found)

    def _turn(self, child: _Child, entry: dict[str, Any], request: dict[str, Any]) -> None:
        answer = child.ask(self._limit_s, **request)
        entry["turns"].append(answer["ms"])
        entry["peak_bytes"] = max(entry.get("peak_bytes", 0), answer.get("peak_bytes", 0))

    @staticmethod
    def _disagreement(values: Any, want: Any, n_qubits: int) -> float:
        """Return how far two sets of amplitudes are apart up to a global phase, relative to their norm, or to what so
        many amplitudes have on average where that is more (a basis state has zeros at most places)."""
        norm = max(float(np.linalg.norm(want)), (len(want) / 2**n_qubits) ** 0.5)
        phase = np.vdot(values, want)
        phase = phase / abs(phase) if phase else 1
        return float(np.linalg.norm(values * phase - want)) / norm

    def _report(self, case: Case, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
        state = (16 if self._precision == "double" else 8) << case.n_qubits
        row: dict[str, Any] = {
            "circuit": case.name,
            "n_qubits": case.n_qubits,
            "n_gates": len(case.gates),
            "precision": self._precision,
        }
        for name, entry in found.items():
            label = "ours" if name == "superpose" else name
            if entry["turns"] and "unavailable" not in entry:
                row[f"{label}_ms"] = median(entry["turns"])
                row[f"{label}_low_ms"], row[f"{label}_high_ms"] = min(entry["turns"]), max(entry["turns"])
                row[f"{label}_first_ms"] = entry["first_ms"]
                if entry["peak_bytes"]:
                    row[f"{label}_peak_states"] = round(entry["peak_bytes"] / state, 3)
            else:
                row[f"{label}_ms"] = None
                row[f"{label}_unavailable"] = entry.get("unavailable", "no turn")
        times = [row[f"{name}_ms"] for name in found if name != "superpose" and row[f"{name}_ms"] is not None]
        row["peak_states"] = row.pop("ours_peak_states", None)
        row["ratio_to_best"] = min(times) / row["ours_ms"] if times and row["ours_ms"] else None
        return row
