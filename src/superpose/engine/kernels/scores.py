"""The last layer and the loss of training steps, and what each thread does of a step: tiles forth, scored, and back.

Whoever takes part writes what it adds up to places of the tile's own, which are added in their order when all is done:
so results do not depend on who took which tile.
"""

from __future__ import annotations

import math
from typing import Any

from superpose.engine.kernels import arguments as a
from superpose.engine.kernels import epoch_places as e
from superpose.engine.kernels import modes
from superpose.engine.kernels.crew import enter
from superpose.engine.kernels.entry import enter_rows
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
from superpose.engine.kernels.simd import LINE, address, data, kernel

__all__ = ["begin_scores", "end_scores", "run_tiles", "score_rows"]


@kernel
def begin_scores(zero: Any, n: int, args: Any, results: Any) -> None:
    """Set the sums of a step of ``n`` rows to 0."""
    order, classes, shares = data(0, args[e.ORDER]), data(0, args[e.CLASSES]), data(zero, args[e.CLASS_WEIGHTS])
    losses, n_right, whole, lanes = data(0.0, args[e.LOSSES]), data(0.0, args[e.RIGHT]), 0.0, lanes_of(zero)
    for i in range(n):
        whole += shares[classes[order[args[e.ROW] + i]]]
        losses[i], n_right[i // lanes] = 0.0, 0.0
    results[e.STEP_WEIGHT] = whole
    if args[e.MODE] & e.LEARN:
        for k in range((n + lanes - 1) // lanes * args[e.N_CLASSES] * (args[e.N_OUTPUTS] + 1)):
            put(zero, 0.0, address(data(zero, args[e.SUMS])) + LINE * k)


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
def note_rows(zero: Any, begin: int, n: int, lane: int, lanes: int, args: Any, scores: Any) -> float:
    """Write each row's score of its class, and of all by their weights, less the largest one; return how many rows
    have the likeliest class."""
    order, classes, shares = data(0, args[e.ORDER]), data(0, args[e.CLASSES]), data(zero, args[e.CLASS_WEIGHTS])
    first, n_right = args[e.ROW] + begin - lane, 0.0
    smoothing = data(zero, args[e.CONSTANTS])[e.SMOOTHING]
    for i in range(lane, lane + n):
        wanted = e.FIRST_CLASS + classes[order[first + i]]
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
def score_group(zero: Any, begin: int, n: int, lanes: int, args: Any, scores: Any) -> None:
    """Do what `score_rows` does for ``n`` rows from ``begin`` on, each in the lane of its number."""
    lane, n_classes, group, results = begin % lanes, args[e.N_CLASSES], begin // lanes, data(0.0, args[e.RESULTS])
    order, classes, shares = data(0, args[e.ORDER]), data(0, args[e.CLASSES]), data(zero, args[e.CLASS_WEIGHTS])
    smoothing, whole, losses = (
        data(zero, args[e.CONSTANTS])[e.SMOOTHING],
        results[e.STEP_WEIGHT],
        data(0.0, args[e.LOSSES]),
    )
    largest, total = address(scores) + LINE * e.LARGEST, address(scores) + LINE * e.TOTAL
    share, first_class = address(scores) + LINE * e.SHARE, address(scores) + LINE * e.FIRST_CLASS
    take_scores(zero, begin, n, lane, lanes, args, scores)
    data(0.0, args[e.RIGHT])[group] += note_rows(zero, begin, n, lane, lanes, args, scores)
    put(zero, 0.0, total)
    put(zero, 0.0, share)
    for k in range(n_classes):
        exponentiate(zero, largest, first_class + LINE * k, total)
    for k in range(n_classes):
        divide(zero, total, first_class + LINE * k)
    for i in range(n):
        wanted, at = classes[order[args[e.ROW] + begin + i]], lane + i
        log_total = math.log(scores[e.TOTAL * lanes + at])
        if smoothing:
            losses[begin + i] = smooth(smoothing, wanted, log_total, args, shares, scores, at, lanes)
            scores[e.SHARE * lanes + at] = 1.0 / whole
        else:
            losses[begin + i] = shares[wanted] * (log_total - scores[e.OWN * lanes + at])
            scores[(e.FIRST_CLASS + wanted) * lanes + at] -= 1.0
            scores[e.SHARE * lanes + at] = shares[wanted] / whole
    if args[e.MODE] & e.LEARN:
        learn_group(zero, begin, n, lanes, args, scores)


@kernel
def learn_group(zero: Any, begin: int, n: int, lanes: int, args: Any, scores: Any) -> None:
    """Add to the group's gradients of the last layer, and write those of the circuit's outputs."""
    n_outputs, n_classes, lane = args[e.N_OUTPUTS], args[e.N_CLASSES], begin % lanes
    weight, grad_out = data(zero, args[e.EXIT_WEIGHT]), data(zero, args[e.GRAD_OUT])
    first_class, total = address(scores) + LINE * e.FIRST_CLASS, address(scores) + LINE * e.TOTAL
    outputs, sums = first_class + LINE * n_classes, address(data(zero, args[e.SUMS]))
    sums += LINE * (begin // lanes * n_classes * (n_outputs + 1))
    for k in range(n_classes):
        grad = first_class + LINE * k
        multiply(zero, address(scores) + LINE * e.SHARE, grad)
        add_multiple(zero, 1.0, grad, sums + LINE * k)
        for j in range(n_outputs):
            add_product(zero, grad, outputs + LINE * j, sums + LINE * (n_classes + k * n_outputs + j))
    for j in range(n_outputs):
        put(zero, 0.0, total)
        for k in range(n_classes):
            add_multiple(zero, weight[k * n_outputs + j], first_class + LINE * k, total)
        for i in range(n):
            grad_out[(begin + i) * n_outputs + j] = scores[e.TOTAL * lanes + lane + i]


@kernel
def score_rows(zero: Any, begin: int, end: int, args: Any, scores: Any) -> None:
    """Write the losses of a step's rows ``begin .. end - 1``, and, in training, the gradients behind the circuit.

    Rows come in groups of as many as there are lanes, each in the lane of its number: so sums do not depend on how rows
    come.
    """
    lanes = lanes_of(zero)
    while begin < end:
        n = min(end - begin, lanes - begin % lanes)
        score_group(zero, begin, n, lanes, args, scores)
        begin += n


@kernel
def end_scores(zero: Any, n: int, args: Any, results: Any) -> int:
    """Make the step's loss and gradients of the sums of its rows; return NOT_FINITE if the loss is that."""
    losses, n_right, total, n_groups = data(0.0, args[e.LOSSES]), data(0.0, args[e.RIGHT]), 0.0, 0
    for i in range(n):
        total += losses[i]
        if i % lanes_of(zero) == 0:
            results[e.N_RIGHT] += n_right[n_groups]
            n_groups += 1
    results[e.WEIGHT] += results[e.STEP_WEIGHT]
    results[e.WEIGHTED_LOSS] += total
    results[e.LOSS] = total / results[e.STEP_WEIGHT]
    results[e.SUM] += results[e.LOSS] * n
    if not math.isfinite(results[e.LOSS]):
        return e.NOT_FINITE
    if args[e.MODE] & e.LEARN:
        end_gradients(zero, n_groups, args)
    return 0


@kernel
def end_gradients(zero: Any, n_groups: int, args: Any) -> None:
    """Add up the gradients of the last layer: the groups' in their order, then those of the lanes."""
    n_classes, n_sums = args[e.N_CLASSES], args[e.N_CLASSES] * (args[e.N_OUTPUTS] + 1)
    grad_weight, grad_bias = data(zero, args[e.GRAD_EXIT_WEIGHT]), data(zero, args[e.GRAD_EXIT_BIAS])
    scores = data(zero, data(0, args[e.LEADER])[e.OWN_SCORES])
    sums, ones = address(data(zero, args[e.SUMS])), address(scores) + LINE * e.SHARE
    put(zero, 1.0, ones)
    for k in range(n_sums):
        to = sums + LINE * k
        for group in range(1, n_groups):
            add_multiple(zero, 1.0, to + LINE * n_sums * group, to)
        if k < n_classes:
            grad_bias[k] = sum_of_products(zero, to, ones)
        else:
            grad_weight[k - n_classes] = sum_of_products(zero, to, ones)


@kernel
def run_circuit(mode: int, first: int, last: int, args: Any, own: Any) -> int:
    """Run the interpreter on some tiles with a thread's own workspace; return its status."""
    circuit = data(0, own[e.OWN_CIRCUIT])
    circuit[a.MODE], circuit[a.FIRST], circuit[a.LAST] = mode, first, last
    return enter(args[e.INTERPRETER], own[e.OWN_CIRCUIT], args[e.DOUBLE])  # type: ignore[no-any-return]  # an intrinsic


@kernel
def run_tile(zero: Any, tile: int, args: Any, own: Any) -> int:
    """Enter a tile's rows, run the circuit on it, take the loss, and in training go back while the tile's state is
    there; return a status."""
    begin, losses, sound = tile * args[e.PER_TILE], data(0.0, args[e.LOSSES]), 0.0
    end = min(begin + args[e.PER_TILE], args[e.SIZE])
    enter_rows(zero, begin, end, args)
    status = run_circuit(modes.FORWARD | modes.EXPECT, tile, tile + 1, args, own)
    if status:
        return status
    score_rows(zero, begin, end, args, data(zero, own[e.OWN_SCORES]))
    for i in range(begin, end):
        sound += losses[i] * 0.0
    if sound != 0.0:  # NaN too
        return e.NOT_FINITE
    if not args[e.MODE] & e.LEARN:
        return 0
    return run_circuit(modes.BACKWARD | modes.KEPT, tile, tile + 1, args, own)


def run_tiles(zero: Any, array: int) -> int:
    """Do a thread's part of a step between the entry layer and AdamW: tiles FIRST .. LAST - 1.

    Args:
        zero: 0 of the circuit's precision.
        array: The int64 array of the thread's own arguments, by the address of its object; see OWN_STEP of
            `superpose.engine.kernels.epoch_places`. MODE is of PREPARE (first, what all tiles share), FORWARD (the
            tiles, back too in training) and FINISH (last, what is summed over all tiles).

    Returns:
        0, or what the interpreter found to be NaN or infinite, or NOT_FINITE after a loss that is.
    """
    own = data(0, array)
    args, mode, status = data(0, own[e.OWN_STEP]), own[a.MODE], 0
    if mode & modes.PREPARE:
        status = run_circuit(modes.PREPARE, 0, 0, args, own)
    if mode & modes.FORWARD:
        for tile in range(own[a.FIRST], own[a.LAST]):
            if status == 0:
                status = run_tile(zero, tile, args, own)
    if mode & modes.FINISH and status == 0:
        status = run_circuit(modes.FINISH, 0, 0, args, own)
    return status
