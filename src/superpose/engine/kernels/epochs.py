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
from superpose.engine.kernels import epoch_places as e
from superpose.engine.kernels import modes
from superpose.engine.kernels.crew import enter
from superpose.engine.kernels.lines import (
    add_multiple,
    add_product,
    divide,
    exponentiate,
    lanes_of,
    multiply,
    put,
    put_larger,
    sum_of_products,
)
from superpose.engine.kernels.simd import LINE, address, data, kernel, kernel_of_sums

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
def begin_scores(zero: Any, n: int, first: int, order: Any, args: Any, results: Any) -> None:
    """Set the sums of a step of ``n`` rows to 0."""
    classes, shares, whole = data(0, args[e.CLASSES]), data(zero, args[e.CLASS_WEIGHTS]), 0.0
    for i in range(n):
        whole += shares[classes[order[first + i]]]
    results[e.LOSS], results[e.STEP_WEIGHT] = 0.0, whole
    n_classes, n_outputs, sums = args[e.N_CLASSES], args[e.N_OUTPUTS], place_of_sums(zero, args)
    for k in range(n_classes * (n_outputs + 1)):
        put(zero, 0.0, sums + LINE * k)


@kernel
def place_of_sums(zero: Any, args: Any) -> int:
    """Return the address of the vectors of the gradients of the last layer's biases; those of its weights follow."""
    return address(data(zero, args[e.SCORES])) + LINE * (e.FIRST_CLASS + args[e.N_CLASSES] + args[e.N_OUTPUTS])  # type: ignore[no-any-return]  # an intrinsic


@kernel
def take_scores(zero: Any, begin: int, n: int, lane: int, lanes: int, args: Any, scores: Any) -> None:
    """Write the outputs of ``n`` rows from ``begin`` on to the lanes from ``lane`` on, what each class scores, and the
    largest score."""
    n_outputs, n_classes, out = args[e.N_OUTPUTS], args[e.N_CLASSES], data(zero, args[e.OUT])
    weight, bias = data(zero, args[e.EXIT_WEIGHT]), data(zero, args[e.EXIT_BIAS])
    largest, score = address(scores) + LINE * e.LARGEST, address(scores) + LINE * e.FIRST_CLASS
    for j in range(n_outputs):
        at = e.FIRST_CLASS + n_classes + j
        if n < lanes:
            put(zero, 0.0, address(scores) + LINE * at)
        for i in range(n):
            scores[at * lanes + lane + i] = out[(begin + i) * n_outputs + j]
    for k in range(n_classes):
        put(zero, bias[k], score)
        for j in range(n_outputs):
            add_multiple(
                zero, weight[k * n_outputs + j], address(scores) + LINE * (e.FIRST_CLASS + n_classes + j), score
            )
        if k == 0:
            put(zero, -math.inf, largest)
        put_larger(zero, score, largest)
        score += LINE


@kernel
def smooth(
    smoothing: Any, wanted: int, log_total: Any, args: Any, shares: Any, scores: Any, lane: int, lanes: int
) -> Any:
    """Return a row's weighted loss where all classes share some of the label, and put its gradients for probabilities.

    Source: Szegedy et al. 2016, arXiv 1512.00567, sec. 7, with class weights as in torch: each class's part weighs as
    the class does.
    """
    n_classes, at = args[e.N_CLASSES], e.FIRST_CLASS * lanes + lane
    each, own, whole = smoothing / n_classes, (1.0 - smoothing) * shares[wanted], shares[0] - shares[0]
    for k in range(n_classes):
        whole += each * shares[k]
    for k in range(n_classes):
        scores[at + k * lanes] = scores[at + k * lanes] * (own + whole) - each * shares[k]
    scores[at + wanted * lanes] -= own
    return (own + whole) * log_total - own * scores[e.OWN * lanes + lane] - each * scores[e.ALL * lanes + lane]


@kernel
def note_rows(zero: Any, n: int, first: int, lane: int, lanes: int, order: Any, args: Any, scores: Any) -> float:
    """Write each row's score of its class, and of all by their weights, less the largest one; return how many rows
    have the likeliest class."""
    classes, shares, n_right = data(0, args[e.CLASSES]), data(zero, args[e.CLASS_WEIGHTS]), 0.0
    smoothing = data(zero, args[e.CONSTANTS])[e.SMOOTHING]
    for i in range(lane, lane + n):
        wanted = e.FIRST_CLASS + classes[order[first + i - lane]]
        own, right = scores[wanted * lanes + i], 1.0
        for k in range(e.FIRST_CLASS, wanted):  # of equals the first
            if scores[k * lanes + i] >= own:
                right = 0.0
        scores[e.OWN * lanes + i] = own - scores[e.LARGEST * lanes + i]
        n_right += right if scores[e.OWN * lanes + i] == 0.0 else 0.0
        scores[e.ALL * lanes + i] = 0.0
        for k in range(args[e.N_CLASSES] if smoothing else 0):
            score = scores[(e.FIRST_CLASS + k) * lanes + i] - scores[e.LARGEST * lanes + i]
            scores[e.ALL * lanes + i] += shares[k] * score
    return n_right


@kernel
def score_group(
    zero: Any, begin: int, n: int, lanes: int, first: int, order: Any, args: Any, scores: Any, results: Any
) -> None:
    """Do what `score_rows` does for ``n`` rows from ``begin`` on, each in the lane of its number."""
    learn, n_classes, lane = args[e.MODE] & e.LEARN, args[e.N_CLASSES], begin % lanes
    classes, shares = data(0, args[e.CLASSES]), data(zero, args[e.CLASS_WEIGHTS])
    smoothing, whole, loss = data(zero, args[e.CONSTANTS])[e.SMOOTHING], results[e.STEP_WEIGHT], results[e.LOSS]
    largest, total = address(scores) + LINE * e.LARGEST, address(scores) + LINE * e.TOTAL
    share, first_class = address(scores) + LINE * e.SHARE, address(scores) + LINE * e.FIRST_CLASS
    take_scores(zero, begin, n, lane, lanes, args, scores)
    results[e.N_RIGHT] += note_rows(zero, n, first + begin, lane, lanes, order, args, scores)
    put(zero, 0.0, total)
    put(zero, 0.0, share)
    for k in range(n_classes):
        exponentiate(zero, largest, first_class + LINE * k, total)
    for k in range(n_classes):
        divide(zero, total, first_class + LINE * k)
    for i in range(lane, lane + n):
        wanted = classes[order[first + begin + i - lane]]
        log_total = math.log(scores[e.TOTAL * lanes + i])
        if smoothing:
            loss += smooth(smoothing, wanted, log_total, args, shares, scores, i, lanes)
            scores[e.SHARE * lanes + i] = 1.0 / whole
        else:
            loss += shares[wanted] * (log_total - scores[e.OWN * lanes + i])
            scores[(e.FIRST_CLASS + wanted) * lanes + i] -= 1.0
            scores[e.SHARE * lanes + i] = shares[wanted] / whole
    results[e.LOSS] = loss
    if learn:
        learn_group(zero, begin, n, lane, lanes, args, scores)


@kernel
def learn_group(zero: Any, begin: int, n: int, lane: int, lanes: int, args: Any, scores: Any) -> None:
    """Add to the gradients of the last layer, and write those of the circuit's outputs."""
    n_outputs, n_classes = args[e.N_OUTPUTS], args[e.N_CLASSES]
    weight, grad_out = data(zero, args[e.EXIT_WEIGHT]), data(zero, args[e.GRAD_OUT])
    first_class, total = address(scores) + LINE * e.FIRST_CLASS, address(scores) + LINE * e.TOTAL
    outputs, bias_sums = first_class + LINE * n_classes, place_of_sums(zero, args)
    weight_sums = bias_sums + LINE * n_classes
    for k in range(n_classes):
        grad = first_class + LINE * k
        multiply(zero, address(scores) + LINE * e.SHARE, grad)
        add_multiple(zero, 1.0, grad, bias_sums + LINE * k)
        for j in range(n_outputs):
            add_product(zero, grad, outputs + LINE * j, weight_sums + LINE * (k * n_outputs + j))
    for j in range(n_outputs):
        put(zero, 0.0, total)
        for k in range(n_classes):
            add_multiple(zero, weight[k * n_outputs + j], first_class + LINE * k, total)
        for i in range(n):
            grad_out[(begin + i) * n_outputs + j] = scores[e.TOTAL * lanes + lane + i]


@kernel
def score_rows(zero: Any, begin: int, end: int, first: int, order: Any, args: Any, results: Any) -> None:
    """Add up the losses of a step's rows ``begin .. end - 1``, and, in training, the gradients of all behind the
    circuit.

    Rows whose numbers differ in a multiple of the lanes share one: so sums do not depend on how rows come.
    """
    scores, lanes = data(zero, args[e.SCORES]), lanes_of(zero)
    while begin < end:
        n = min(end - begin, lanes - begin % lanes)
        score_group(zero, begin, n, lanes, first, order, args, scores, results)
        begin += n


@kernel
def end_scores(zero: Any, n: int, args: Any, results: Any) -> int:
    """Make the step's loss and gradients of the sums of its rows; return NOT_FINITE if the loss is that."""
    results[e.WEIGHT] += results[e.STEP_WEIGHT]
    results[e.WEIGHTED_LOSS] += results[e.LOSS]
    results[e.LOSS] /= results[e.STEP_WEIGHT]
    results[e.SUM] += results[e.LOSS] * n
    if not math.isfinite(results[e.LOSS]):
        return e.NOT_FINITE
    if args[e.MODE] & e.LEARN:
        n_classes, n_outputs = args[e.N_CLASSES], args[e.N_OUTPUTS]
        grad_weight, grad_bias = data(zero, args[e.GRAD_EXIT_WEIGHT]), data(zero, args[e.GRAD_EXIT_BIAS])
        found, ones = place_of_sums(zero, args), address(data(zero, args[e.SCORES])) + LINE * e.SHARE
        put(zero, 1.0, ones)
        for k in range(n_classes):
            grad_bias[k] = sum_of_products(zero, found + LINE * k, ones)
        found += LINE * n_classes
        for k in range(n_classes * n_outputs):
            grad_weight[k] = sum_of_products(zero, found + LINE * k, ones)
    return 0


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
def run_circuit(mode: int, first: int, last: int, args: Any) -> int:
    """Run the interpreter on some tiles; return its status."""
    circuit = data(0, args[e.CIRCUIT])
    circuit[a.MODE], circuit[a.FIRST], circuit[a.LAST] = mode, first, last
    return enter(args[e.INTERPRETER], args[e.CIRCUIT], args[e.DOUBLE])  # type: ignore[no-any-return]  # an intrinsic


@kernel
def run_alone(zero: Any, n: int, first: int, order: Any, args: Any, results: Any) -> int:
    """Run the circuit and take the loss, in training tile by tile: forth, and back while the tile's state is there."""
    circuit, per_tile = data(0, args[e.CIRCUIT]), args[e.PER_TILE]
    n_tiles, status = circuit[a.N_TILES], 0
    circuit[a.BATCH] = n
    if not args[e.MODE] & e.LEARN:
        status = run_circuit(args[e.FORTH], 0, n_tiles, args)
        if status == 0:
            score_rows(zero, 0, n, first, order, args, results)
        return status
    for tile in range(n_tiles):
        forth, back = modes.FORWARD | modes.EXPECT, modes.BACKWARD | modes.KEPT
        if tile == 0:
            forth |= modes.PREPARE
        if tile == n_tiles - 1:
            back |= modes.FINISH
        status = run_circuit(forth, tile, tile + 1, args)
        if status:
            return status
        score_rows(zero, tile * per_tile, min(n, (tile + 1) * per_tile), first, order, args, results)
        if not math.isfinite(results[e.LOSS]):
            return end_scores(zero, n, args, results)
        status = run_circuit(back, tile, tile + 1, args)
        if status:
            return status
    return 0


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
        if mode & e.ENTER:
            enter_rows(zero, n, first, order, rows, args, rounded)
            for k in range(n * width):
                angles[k] = rounded[k]
            for k in range(n_weights):
                wide[k] = weights[k]
        if mode & e.LOOK:
            begin_scores(zero, n, first, order, args, results)
            if mode & e.RUN:
                status = run_alone(zero, n, first, order, args, results)
            else:
                score_rows(zero, 0, n, first, order, args, results)
            if status == 0:
                status = end_scores(zero, n, args, results)
        if status:
            return status
        if mode & e.LEAVE:
            for k in range(n_weights):
                grad_weights[k] = own_gradient[k]
            leave_rows(zero, n, first, order, rows, args)
            move(args, zero, groups, rates, constants)
    return 0
