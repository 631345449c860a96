"""One contestant in a process of its own: JSON lines in on stdin, JSON lines out on stdout.

    {"op": "setup", "module", "case", "directory", "threads", "options", "gradients"}
        -> {"ok": true, "variant", "precision", "first_ms", "step_ms", "tried", "versions"}; the results of the first
           step stand in directory/results.npz
    {"op": "again", "case"} -> {"ok": true, "first_ms"}: another circuit, in the variant chosen at setup
    {"op": "time", "n_steps", "warm"} -> {"ok": true, "ms": [...]}
    anything that fails -> {"ok": false, "error"}

A contestant's module states PACKAGES (distributions whose versions are reported) and ``candidates(task)``: the ways a
good user of that library might write the step. Each is built, run and timed shortly; the fastest stays.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

if __name__ == "__main__":  # appended, so that no file here can hide a library of the same name
    sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np

from rivals.circuit import Case, Task, make_task

__all__ = ["Candidate", "Step", "choose", "serve", "time_steps"]


class Step(NamedTuple):
    """A step ready to run: ``run()`` returns native results once they are computed, ``arrays(results)`` the
    expectations, and where gradients are asked for those of inputs and weights, as NumPy arrays."""

    run: Callable[[], Any]
    arrays: Callable[[Any], tuple[Any, ...]]


@dataclass(frozen=True)
class Candidate:
    """One way to write the step; ``build()`` does all that a user pays once (device, graph, tracing)."""

    variant: str
    precision: str
    build: Callable[[], Step]


class Choice(NamedTuple):
    """The fastest candidate, its first results, and the milliseconds of every one tried."""

    candidate: Candidate
    step: Step
    results: Any
    first_ms: float
    step_ms: float
    tried: dict[str, float | str]


def time_steps(run: Callable[[], Any], n_steps: int) -> list[float]:
    """Milliseconds of each of ``n_steps`` calls."""
    times = []
    for _ in range(n_steps):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def _probe(run: Callable[[], Any]) -> float:
    """Shortest of a few calls, within about half a second."""
    best = time_steps(run, 1)[0]
    n_steps = int(min(20, 500 / max(best, 1e-3)))
    return min([best, *time_steps(run, n_steps)])


def choose(candidates: list[Candidate], limit_s: float) -> Choice:
    """Builds and probes the candidates and keeps the fastest; past half of ``limit_s`` no further one is tried.

    Raises:
        RuntimeError: none of them ran; the message holds each one's error.
    """
    start, best, tried = time.perf_counter(), None, {}
    for candidate in candidates:
        if best is not None and time.perf_counter() - start > limit_s / 2:
            tried[candidate.variant] = "not tried: the others took too long to build"
            continue
        try:
            before = time.perf_counter()
            step = candidate.build()
            results = step.run()
            first_ms = (time.perf_counter() - before) * 1e3
            step_ms = _probe(step.run)
        except Exception as error:  # whatever a library raises is this candidate's answer
            tried[candidate.variant] = f"{type(error).__name__}: {str(error)[:300]}"
            continue
        tried[candidate.variant] = step_ms
        if best is None or step_ms < best.step_ms:
            best = Choice(candidate, step, results, first_ms, step_ms, tried)
        del step, results
        gc.collect()
    if best is None:
        raise RuntimeError("; ".join(f"{variant}: {error}" for variant, error in tried.items()))
    return best


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in packages}


def _limit_cores(n_threads: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_threads])


def _setup(request: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    _limit_cores(request["threads"])
    directory = Path(request["directory"])
    module = importlib.import_module(f"rivals.{request['module']}")
    with np.load(directory / "task.npz") as arrays:
        task = Task(
            case=Case.parse(request["case"]),
            inputs=arrays["inputs"],
            weights=arrays["weights"],
            upstream=arrays["upstream"],
            threads=request["threads"],
            options=request["options"],
            gradients=request["gradients"],
        )
    candidates = module.candidates(task)
    choice = choose(candidates[:1] if task.options.get("only") == "first" else candidates, request["limit_s"])
    arrays = [np.asarray(array, np.float64) for array in choice.step.arrays(choice.results)]
    np.savez(directory / "results.npz", *arrays)
    return choice.step, {
        "variant": choice.candidate.variant,
        "precision": choice.candidate.precision,
        "first_ms": choice.first_ms,
        "step_ms": choice.step_ms,
        "tried": choice.tried,
        "versions": _versions(module.PACKAGES),
    }


def _again(request: dict[str, Any], earlier: dict[str, Any], variant: str) -> tuple[Step, dict[str, Any]]:
    """Builds and runs one variant for another case, in a process that has run one before."""
    module = importlib.import_module(f"rivals.{earlier['module']}")
    task = make_task(Case.parse(request["case"]), earlier["threads"])
    candidates = module.candidates(task)
    candidate = next((c for c in candidates if c.variant == variant), candidates[0])
    begin = time.perf_counter()
    step = candidate.build()
    step.run()
    return step, {"first_ms": (time.perf_counter() - begin) * 1e3}


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answers requests until the input ends."""
    step: Step | None = None
    earlier: dict[str, Any] = {}
    variant = ""
    for line in requests:
        try:
            request = json.loads(line)
            if request["op"] == "setup":
                step, answer = _setup(request)
                earlier, variant = request, answer["variant"]
            elif step is None:
                raise RuntimeError("The first request must be a setup")
            elif request["op"] == "again":
                step, answer = _again(request, earlier, variant)
            else:
                time_steps(step.run, request["warm"])
                answer = {"ms": time_steps(step.run, request["n_steps"])}
            answer = {"ok": True, **answer}
        except Exception as error:  # the driver reports it as this contestant's reason
            answer = {"ok": False, "error": f"{type(error).__name__}: {str(error)[:600]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr and cannot spoil the answers
    sys.modules["rivals.protocol"] = sys.modules["__main__"]
    serve(sys.stdin, channel)
