"""The layer in front of the circuit: a training step's rows to angles, and the gradients of its weights."""

from __future__ import annotations

import math
from typing import Any

from superpose.engine.kernels import epoch_places as e
from superpose.engine.kernels.lines import lanes_of, sum_of_rows
from superpose.engine.kernels.simd import LINE, address, data, kernel, kernel_of_sums

__all__ = ["enter_rows", "leave_rows"]

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
def add_row(grads: Any, at: int, sums: Any, width: int) -> None:
    """Add a row to ``sums``."""
    for j in range(width):
        sums[j] += grads[at + j]


@kernel_of_sums
def add_products_of_rows(
    grads: Any, at: int, rows: Any, row: int, grad_weight: Any, width: int, n_columns: int
) -> None:  # fmt: skip
    """Add a row's share of the gradients of a linear layer's weight."""
    for j in range(width):
        for k in range(n_columns):
            grad_weight[j * n_columns + k] += grads[at + j] * rows[row + k]


@kernel_of_sums
def go_back(grads: Any, noted: Any, scale: Any, n: int) -> None:
    """Make gradients of scaled hyperbolic tangents those of what was in front of them."""
    for k in range(n):
        grad = grads[k] * scale
        grads[k] = grad - grad * noted[k] * noted[k]


@kernel
def clear(y: Any, n: int) -> None:
    """Set numbers to zero."""
    for k in range(n):
        y[k] = 0.0


@kernel_of_sums
def squash(numbers: Any, first: int, last: int) -> None:
    """Put hyperbolic tangents in the place of float32 numbers, several at a time; one by libm takes 20 ns.

    From ``exp(-2 |x|)``, as the 64th power of a Taylor polynomial, in float64: exact to 1e-9.
    """
    for k in range(first, last):
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
def enter_rows(zero: Any, begin: int, end: int, args: Any) -> None:
    """Write the circuit's inputs of a step's rows ``begin .. end - 1``."""
    n_columns, width, kind = args[e.N_COLUMNS], args[e.WIDTH], args[e.ENTRY]
    order, rows, first = data(0, args[e.ORDER]), data(zero, args[e.ROWS]), args[e.ROW]
    weight, bias = data(zero, args[e.ENTRY_WEIGHT]), data(zero, args[e.ENTRY_BIAS])
    noted, scale = data(zero, args[e.NOTED]), data(zero, args[e.MAX_ANGLE])[0]
    rounded, angles = data(zero, args[e.ROUNDED]), data(0.0, args[e.ANGLES])
    for i in range(begin, end):
        row, at = order[first + i] * n_columns, i * width
        if kind == e.TANH:
            for j in range(width):
                noted[at + j] = dot(zero, weight, j * n_columns, rows, row, n_columns) + bias[j]
        elif kind == e.SCALE:
            repeat_row(rows, row, n_columns, noted, at, width)
            write_products(noted, at, weight, rounded, at, width)
        else:
            for j in range(width):
                rounded[at + j] = rows[row + j]
    if kind == e.TANH:
        if args[e.DOUBLE]:
            for k in range(begin * width, end * width):
                noted[k] = math.tanh(noted[k])
        else:
            squash(noted, begin * width, end * width)
        for k in range(begin * width, end * width):
            rounded[k] = noted[k] * scale
    for k in range(begin * width, end * width):
        angles[k] = rounded[k]


@kernel
def leave_rows(zero: Any, n: int, args: Any) -> None:
    """Take the gradients of what is in front of the circuit, from those of its inputs, which are overwritten."""
    n_columns, width, kind = args[e.N_COLUMNS], args[e.WIDTH], args[e.ENTRY]
    order, rows, first = data(0, args[e.ORDER]), data(zero, args[e.ROWS]), args[e.ROW]
    grad_weight, grad_bias = data(zero, args[e.GRAD_ENTRY_WEIGHT]), data(zero, args[e.GRAD_ENTRY_BIAS])
    grad_angles, noted = data(zero, args[e.GRAD_ANGLES]), data(zero, args[e.NOTED])
    if kind == e.TANH:
        clear(grad_bias, width)
        go_back(grad_angles, noted, data(zero, args[e.MAX_ANGLE])[0], n * width)
        for i in range(n):
            add_row(grad_angles, i * width, grad_bias, width)
        if n_columns <= lanes_of(zero):
            size, numbers = LINE // lanes_of(zero), address(order) + 8 * first
            for j in range(width):
                to = address(grad_weight) + size * j * n_columns
                grads = address(grad_angles) + size * j
                sum_of_rows(zero, n, n_columns, grads, width, numbers, address(rows), to)
            return
        clear(grad_weight, width * n_columns)
        for i in range(n):
            row = order[first + i] * n_columns
            add_products_of_rows(grad_angles, i * width, rows, row, grad_weight, width, n_columns)
    elif kind == e.SCALE:
        clear(grad_weight, width)
        for i in range(n):
            add_products(grad_angles, i * width, noted, i * width, grad_weight, width)
