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
from superpose.engine.kernels.scores import begin_scores, end_scores, score_rows
from superpose.engine.kernels.simd import data, kernel, kernel_of_sums

__all__ = ["run_steps"]

_TAYLOR_2, _TAYLOR_3, _TAYLOR_4, _TAYLOR_5 = 1 / 2, 1 / 6, 1 / 24, 1 / 120
_TAYLOR_6, _TAYLOR_7, _TAYLOR_8, _TAYLOR_9 = 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880


@kernel_of_sums
def dot(zero: Any, x: Any, at_x: int, y: Any, at_y: int, n: int) -> Any:
    """Return the sum of the products of two rows."""
    total = zero
    for k in range(n):
        total += x[at_x + k] * y[at_y + k]
    return total


@kernel_of_sums
def add_scaled(factor: Any, x: Any, at_x: int, y: Any, at_y: int, n: int) -> None:
    """Add a multiple of the row ``x`` to the row ``y``."""
    for k in range(n):
        y[at_y + k] += factor * x[at_x + k]


@kernel
def clear(y: Any, n: int) -> None:
    """Set numbers to zero."""
    for k in range(n):
        y[k] = 0.0


@kernel_of_sums
def squash(numbers: Any, n: int) -> None:
    """Put hyperbolic tangents in the place of float32 numbers, several at a time; one by libm takes 20 ns.

    From ``exp(-2 |x|)``, as the 64th power of a Taylor polynomial, in float64: exact to 1e-9.
    """
    for k in range(n):
        size = abs(1.0 * numbers[k])
        y = (10.0 if size > 10.0 else size) * (-1.0 / 32.0)  # NaN stays
        power = 1.0 + y * (1.0 + y * (_TAYLOR_2 + y * (_TAYLOR_3 + y * (_TAYLOR_4 + y * (_TAYLOR_5 + y * (
            _TAYLOR_6 + y * (_TAYLOR_7 + y * (_TAYLOR_8 + y * _TAYLOR_9))))))))  # fmt: skip
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        found = (1.0 - power) / (1.0 + power)
        numbers[k] = -found if numbers[k] < 0.0 else found


@kernel_of_sums
def repeat_row(rows: Any, row: int, n_columns: int, repeated: Any, first: int, width: int) -> None:
    """Write a row again and again until there are ``width`` numbers; dividing for each took 4 % of a training."""
    column = 0
    for j in range(width):
        repeated[first + j] = rows[row + column]
        column += 1
        if column == n_columns:
            column = 0


@kernel_of_sums
def write_products(x: Any, at_x: int, y: Any, products: Any, first: int, n: int) -> None:
    """Write the products of a row ``x`` and the numbers ``y``."""
    for k in range(n):
        products[first + k] = x[at_x + k] * y[k]


@kernel_of_sums
def add_products(x: Any, at_x: int, y: Any, at_y: int, sums: Any, n: int) -> None:
    """Add the products of two rows to ``sums``."""
    for k in range(n):
        sums[k] += x[at_x + k] * y[at_y + k]


@kernel
def enter_rows(zero: Any, n: int, first: int, order: Any, rows: Any, args: Any, angles: Any) -> None:
    """Write the circuit's inputs of ``n`` rows from place ``first`` of the order on."""
    n_columns, width, kind = args[e.N_COLUMNS], args[e.WIDTH], args[e.ENTRY]
    weight, bias = data(zero, args[e.ENTRY_WEIGHT]), data(zero, args[e.ENTRY_BIAS])
    noted, scale = data(zero, args[e.NOTED]), data(zero, args[e.MAX_ANGLE])[0]
    for i in range(n):
        row, at = order[first + i] * n_columns, i * width
        if kind == e.TANH:
            for j in range(width):
                noted[at + j] = dot(zero, weight, j * n_columns, rows, row, n_columns) + bias[j]
        elif kind == e.SCALE:
            repeat_row(rows, row, n_columns, noted, at, width)
            write_products(noted, at, weight, angles, at, width)
        else:
            for j in range(width):
                angles[at + j] = rows[row + j]
    if kind == e.TANH:
        if args[e.DOUBLE]:
            for k in range(n * width):
                noted[k] = math.tanh(noted[k])
        else:
            squash(noted, n * width)
        for k in range(n * width):
            angles[k] = noted[k] * scale


@kernel
def leave_rows(zero: Any, n: int, first: int, order: Any, rows: Any, args: Any) -> None:
    """Take the gradients of what is in front of the circuit, from those of its inputs."""
    n_columns, width, kind = args[e.N_COLUMNS], args[e.WIDTH], args[e.ENTRY]
    grad_weight, grad_bias = data(zero, args[e.GRAD_ENTRY_WEIGHT]), data(zero, args[e.GRAD_ENTRY_BIAS])
    grad_angles, noted = data(zero, args[e.GRAD_ANGLES]), data(zero, args[e.NOTED])
    scale = data(zero, args[e.MAX_ANGLE])[0]
    if kind == e.TANH:
        clear(grad_weight, width * n_columns)
        clear(grad_bias, width)
        for i in range(n):
            row = order[first + i] * n_columns
            for j in range(width):
                value = noted[i * width + j]
                grad = grad_angles[i * width + j] * scale
                grad -= grad * value * value
                grad_bias[j] += grad
                add_scaled(grad, rows, row, grad_weight, j * n_columns, n_columns)
    elif kind == e.SCALE:
        clear(grad_weight, width)
        for i in range(n):
            add_products(grad_angles, i * width, noted, i * width, grad_weight, width)


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
    mode, n, width, n_weights = args[e.MODE], args[e.SIZE], args[e.WIDTH], args[e.N_WEIGHTS]
    order, rows = data(0, args[e.ORDER]), data(zero, args[e.ROWS])
    weights, results = data(zero, args[e.WEIGHTS]), data(0.0, args[e.RESULTS])
    angles, wide, rounded = data(0.0, args[e.ANGLES]), data(0.0, args[e.WIDE_WEIGHTS]), data(zero, args[e.ROUNDED])
    grad_weights, own_gradient = data(zero, args[e.GRAD_WEIGHTS]), data(zero, args[e.OWN_GRADIENT])
    groups, rates, constants = data(0, args[e.GROUPS]), data(0.0, args[e.RATES]), data(zero, args[e.CONSTANTS])
    for step in range(args[e.FIRST], args[e.LAST]):
        first, status = args[e.ORDER_FIRST] + step * args[e.STRIDE], 0
        args[e.ROW] = first
        if mode & e.ENTER:
            enter_rows(zero, n, first, order, rows, args, rounded)
            for k in range(n * width):
                angles[k] = rounded[k]
            for k in range(n_weights):
                wide[k] = weights[k]
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
            leave_rows(zero, n, first, order, rows, args)
            move(args, zero, groups, rates, constants)
    return 0
