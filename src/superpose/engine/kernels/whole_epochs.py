"""Whole epochs in compiled code: their steps, the look at the validation rows, and whether training goes on."""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels import epoch_places as e
from superpose.engine.kernels.crew import enter
from superpose.engine.kernels.simd import data, kernel

__all__ = ["run_epochs"]


@kernel
def run_parts(first: int, last: int, order_first: int, args: Any, parts: Any, results: Any) -> int:
    """Call `run_steps` for some of the PARTS, sums beginning at 0; return the first status that is not 0."""
    for k in range(e.N_RESULTS):
        results[k] = 0.0
    for part in range(first, last):
        block = data(0, parts[part])
        block[e.ORDER_FIRST], block[e.N_STEPS] = order_first, args[e.STEPS_TAKEN]
        status = enter(args[e.STEPS], parts[part], args[e.STEPS_DOUBLE])
        args[e.STEPS_TAKEN] = block[e.N_STEPS]
        if status:
            return status  # type: ignore[no-any-return]  # an intrinsic
    return 0


def run_epochs(zero: Any, array: int) -> int:
    """Train epochs until as many are done as were asked for, or none was better for too long.

    Args:
        zero: 0 of the circuit's precision.
        array: The int64 array of arguments, by the address of its object; see `superpose.engine.kernels.epoch_places`.

    Returns:
        0, or the status of `run_steps` that ended training within the epoch behind the DONE ones.
    """
    args = data(0, array)
    parts, results, history = data(0, args[e.PARTS]), data(0.0, args[e.EPOCHS_RESULTS]), data(0.0, args[e.HISTORY])
    vector, best = data(zero, args[e.EPOCHS_VECTOR]), data(zero, args[e.BEST])
    best_score = data(0.0, args[e.SCORES_SO_FAR])
    n_parts, n_all = args[e.N_PARTS], args[e.N_PARTS] + args[e.N_LOOKS]
    for done in range(args[e.N_EPOCHS]):
        args[e.DONE] = done
        status = run_parts(0, n_parts, done * args[e.N_ROWS], args, parts, results)
        if status:
            return status
        score = results[e.SUM] / args[e.N_ROWS]
        history[3 * done] = score
        if n_all > n_parts:
            status = run_parts(n_parts, n_all, 0, args, parts, results)
            if status:
                return status
            score = results[e.WEIGHTED_LOSS] / results[e.WEIGHT]
            history[3 * done + 1], history[3 * done + 2] = score, results[e.N_RIGHT] / args[e.N_VALIDATION]
        args[e.DONE] = done + 1
        args[e.EPOCH] += 1
        if score < best_score[0]:
            best_score[0], args[e.BEST_EPOCH] = score, args[e.EPOCH]
            for k in range(args[e.N_TRAINED]):
                best[k] = vector[k]
        if args[e.EPOCH] - args[e.BEST_EPOCH] >= args[e.PATIENCE]:
            break
    return 0
