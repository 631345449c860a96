"""What stands where in the arguments of `superpose.engine.kernels.epochs.run_steps`, and its modes."""

from __future__ import annotations

# fmt: off
(
    MODE, FIRST, LAST, SIZE, STRIDE, ENTRY, N_COLUMNS, WIDTH, N_OUTPUTS, N_CLASSES, N_WEIGHTS, N_GROUPS, N_STEPS,
    DOUBLE, INTERPRETER, TILES, CREW, ORDER_FIRST, ROW, PER_TILE, N_FACTORS, N_MATES, LEADER, JOB, BOXES,
    ORDER, ROWS, CLASSES, CLASS_WEIGHTS, ENTRY_WEIGHT, ENTRY_BIAS, WEIGHTS, EXIT_WEIGHT, EXIT_BIAS,
    GRAD_ENTRY_WEIGHT, GRAD_ENTRY_BIAS, GRAD_WEIGHTS, GRAD_EXIT_WEIGHT, GRAD_EXIT_BIAS,
    VECTOR, GRAD, MOMENT_1, MOMENT_2, GROUPS, RATES, FACTORS, CONSTANTS, MAX_ANGLE,
    ANGLES, ROUNDED, WIDE_WEIGHTS, OUT, GRAD_OUT, GRAD_ANGLES, OWN_GRADIENT, NOTED, LOSSES, RIGHT, SUMS, RESULTS,
    ARGUMENTS,
) = range(61)
"""Numbers: MODE, the steps FIRST .. LAST - 1, rows per step (SIZE) and from one step to the next (STRIDE), the ENTRY
layer's kind, sizes, steps taken so far (N_STEPS, counted up), whether the precision is float64 (DOUBLE), the
addresses of the interpreter, of `run_tiles` and of the crew, where in ORDER step 0 and
the present one begin (ORDER_FIRST, ROW), rows per tile of the circuit (PER_TILE), how many FACTORS there are, how many
mates share the tiles, and the ``id`` of the own arguments of the thread that leads, of the crew's JOB, and of the words
of the mates' BOXES.

Arrays by their ``id``, of the circuit's precision but for int64 ORDER, CLASSES, GROUPS and float64 RATES, RESULTS and
the circuit's inputs (ANGLES) and weights (WIDE_WEIGHTS): the rows' ORDER, ROWS ``(n_rows, n_columns)``, their CLASSES
and the weight of each class; the trained arrays and their gradients; AdamW's vectors over all that is trained, with
GROUPS (where each ends), RATES (learning rate and weight decay of each) and float64 FACTORS of the learning rates, one
for each step from the first on, 1 behind the last; scratch, of which NOTED is what the entry layer's gradients need
(hyperbolic tangents, or the columns in the order of the weights); of a step's rows float64 LOSSES, weighted, and of
each group of as many as a vector has lanes how many have the likeliest class (RIGHT, float64) and vectors of the last
layer's gradients (SUMS), of biases, then of weights; RESULTS."""

OWN_STEP, OWN_CIRCUIT, OWN_SCORES, OWN_SIZE = range(3, 7)
"""Each thread's own arguments of `run_tiles`, behind MODE, FIRST and LAST: ``id`` of those above, of the interpreter's
with a workspace of the thread, and of vectors for scores."""

TANH, SCALE, NOTHING = range(3)
"""Kinds of ENTRY: ``max_angle * tanh(weight row + bias)``; each column times weights; the row itself."""

ENTER, RUN, LOOK, LEARN, LEAVE = 1, 2, 4, 8, 16
"""Bits of MODE: inputs of the circuit, the circuit, the loss, gradients of both, and gradients in front with AdamW."""
NOT_FINITE = 1024

LOSS, STEP_WEIGHT, SUM, WEIGHT, WEIGHTED_LOSS, N_RIGHT, N_RESULTS = range(7)
"""RESULTS: the last step's loss and sum of class weights; all losses times their rows; sums of class weights, of
weighted losses, and of rows whose class has the highest score."""

LARGEST, OWN, ALL, TOTAL, SHARE, FIRST_CLASS = range(6)
"""Scores, as vectors with a row in each lane: the largest score; that of the row's class, and of all classes by their
weights (where labels are smoothed), less the largest; sums of exponentials; the factors of gradients; from FIRST_CLASS
on what each class scores, then its probabilities, then its gradients; behind them the circuit's outputs."""

TENTH, THOUSANDTH, TINY, KEPT, SPREAD, STAY, RATE, SMOOTHING, N_CONSTANTS = range(9)
"""CONSTANTS in the circuit's precision: of AdamW, and the share of a label that all classes have alike (SMOOTHING)."""

(
    N_EPOCHS, DONE, N_ROWS, N_VALIDATION, N_PARTS, N_LOOKS, PARTS, STEPS, STEPS_DOUBLE, STEPS_TAKEN, N_TRAINED,
    PATIENCE, EPOCH, BEST_EPOCH, SCORES_SO_FAR, EPOCHS_VECTOR, BEST, EPOCHS_RESULTS, HISTORY, EPOCH_ARGUMENTS,
) = range(20)
"""Arguments of `superpose.engine.kernels.whole_epochs.run_epochs`. Numbers: how many epochs to train at most, and how
many were finished (DONE); training and validation rows; argument blocks of `run_steps` that make an epoch's steps
(N_PARTS) and its look at the validation rows (N_LOOKS), whose ``id`` PARTS lists in this order; the address of
`run_steps` and whether its precision is float64; steps taken so far (counted up); trained numbers; epochs without a
better one after which training ends; the epochs before, and the best of them.

Arrays by their ``id``: float64 best score so far ``(1,)``; what is trained, and what it was after the best epoch, of
the circuit's precision; RESULTS of `run_steps`; float64 HISTORY ``(n_epochs, 3)`` of training loss, validation loss and
accuracy."""
# fmt: on
