"""Whole training steps in compiled code: a layer in front, a circuit, a linear layer behind it, the loss, and AdamW.

The circuit is run by the compiled interpreter, which is called by its address. One entry runs any part of a step
(`run_steps`, chosen by the bits of MODE), so that callers whose circuit several threads share can run the interpreter
between the parts themselves; both ways give the same bits.

All numbers but sums of losses have the precision of the circuit. Every argument array stays referenced by the caller.
"""

from __future__ import annotations

import math
from typing import Any

from superpose.engine.kernels import arguments as a
from superpose.engine.kernels import duties as d
from superpose.engine.kernels import epoch_places as e
from superpose.engine.kernels import modes
from superpose.engine.kernels.crew import enter
from superpose.engine.kernels.entry import enter_rows, leave_rows
from superpose.engine.kernels.scores import begin_scores, end_scores, score_rows
from superpose.engine.kernels.simd import data, kernel, kernel_of_sums

__all__ = ["run_steps"]


@kernel_of_sums
def move(args: Any, zero: Any, groups: Any, rates: Any, constants: Any) -> None:
    """Take one step of AdamW (arXiv 1711.05101, algorithm 2) with each group's learning rate and decay."""
    factor = data(0.0, args[e.FACTORS])[args[e.N_STEPS]] if args[e.N_STEPS] < args[e.N_FACTORS] else 1.0
    vector, grad = data(zero, args[e.VECTOR]), data(zero, args[e.GRAD])
    moment_1, moment_2 = data(zero, args[e.MOMENT_1]), data(zero, args[e.MOMENT_2])
    args[e.N_STEPS] += 1
    n_steps, first = args[e.N_STEPS], 0
    tenth, thousandth, tiny = constants[e.TENTH], constants[e.THOUSANDTH], constants[e.TINY]
    constants[e.KEPT] = 0.999
    constants[e.SPREAD] = 1.0 - 0.999**n_steps
    kept, spread = constants[e.KEPT], constants[e.SPREAD]
    for group in range(args[e.N_GROUPS]):
        constants[e.STAY] = 1.0 - factor * rates[2 * group] * rates[2 * group + 1]
        constants[e.RATE] = factor * rates[2 * group] / (1.0 - 0.9**n_steps)
        stay, rate = constants[e.STAY], constants[e.RATE]
        for k in range(first, groups[group]):
            g = grad[k]
            m = moment_1[k] + tenth * (g - moment_1[k])
            v = moment_2[k] * kept + thousandth * (g * g)
            moment_1[k], moment_2[k] = m, v
            vector[k] = vector[k] * stay - rate * (m / (math.sqrt(v / spread) + tiny))
        first = groups[group]


@kernel
def run_all(args: Any) -> int:
    """Run the circuit on all tiles and take the loss, with the mates that were gathered for it; return a status."""
    leader, n_mates = data(0, args[e.LEADER]), args[e.N_MATES]
    if n_mates == 0:
        leader[a.MODE], leader[a.FIRST] = modes.PREPARE | modes.FORWARD | data(0, args[e.JOB])[d.AFTER], 0
        leader[a.LAST] = data(0, leader[e.OWN_CIRCUIT])[a.N_TILES]
        return enter(args[e.TILES], args[e.LEADER], args[e.DOUBLE])  # type: ignore[no-any-return]  # an intrinsic
    job, boxes = data(0, args[e.JOB]), data(0, args[e.BOXES])
    job[d.N_MATES], job[d.NEXT], job[d.LEFT] = n_mates, 0, 0
    for k in range(n_mates):
        job[d.STATUSES + k], job[d.BOXES + k] = 0, boxes[k]
    return enter(args[e.CREW], args[e.JOB], args[e.DOUBLE])  # type: ignore[no-any-return]  # an intrinsic


def run_steps(zero: Any, array: int) -> int:
    """Run the parts of steps FIRST .. LAST - 1 that MODE names, all of one size.

    Args:
        zero: 0 of the circuit's precision.
        array: The int64 array of arguments, by the address of its object; see `superpose.engine.kernels.epoch_places`.

    Returns:
        0, or what the interpreter found to be NaN or infinite, or NOT_FINITE after a loss that is; then the last step
        was not finished.
    """
    args = data(0, array)
    mode, n, n_weights, wide = args[e.MODE], args[e.SIZE], args[e.N_WEIGHTS], data(0.0, args[e.WIDE_WEIGHTS])
    weights, results = data(zero, args[e.WEIGHTS]), data(0.0, args[e.RESULTS])
    grad_weights, own_gradient = data(zero, args[e.GRAD_WEIGHTS]), data(zero, args[e.OWN_GRADIENT])
    groups, rates, constants = data(0, args[e.GROUPS]), data(0.0, args[e.RATES]), data(zero, args[e.CONSTANTS])
    for step in range(args[e.FIRST], args[e.LAST]):
        args[e.ROW], status = args[e.ORDER_FIRST] + step * args[e.STRIDE], 0
        if mode & e.ENTER:
            for k in range(n_weights):
                wide[k] = weights[k]
            if not mode & e.RUN:  # else whoever runs a tile enters its rows
                enter_rows(zero, 0, n, args)
        if mode & e.LOOK:
            begin_scores(zero, n, args, results)
            if mode & e.RUN:
                status = run_all(args)
            else:
                score_rows(zero, 0, n, args, data(zero, data(0, args[e.LEADER])[e.OWN_SCORES]))
            if status == 0 or status & e.NOT_FINITE:
                status = end_scores(zero, n, args, results)
        if status:
            return status
        if mode & e.LEAVE:
            for k in range(n_weights):
                grad_weights[k] = own_gradient[k]
            leave_rows(zero, n, args)
            move(args, zero, groups, rates, constants)
    return 0
