"""Working memory for training steps over batches of one size: taken for a training, given back and used again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from superpose.engine.arrays import Array
from superpose.engine.kernel_table import load_kernel
from superpose.engine.kernels import arguments, modes
from superpose.engine.kernels import epoch_places as at
from superpose.engine.layouts import lanes_of
from superpose.engine.pool import gather, get_threads, job_for
from superpose.engine.workspace import aligned_array

if TYPE_CHECKING:
    from superpose.engine.program import CompiledProgram
    from superpose.engine.runner import Bound, Runner

__all__ = ["Batch", "Rows", "give_back", "take_batch"]

KEPT_BYTES: Final = 1 << 20
"""Batches of this size or less are kept when a training has ended, for the next one of the same circuit."""
KEPT_KINDS: Final = 16
"""Sizes of batches of which a circuit keeps some; with more, all of them are let go."""
SHORT_STEPS: Final = 32_000
"""Steps of fewer updates gain a third by a second thread at best, and may lose by it; longer ones always have mates."""
SELDOM, VERY_SELDOM, CLOSE = 8, 64, 1.3
"""How many calls of short steps come to one that tries what was slower: where it took less than ``CLOSE`` times as
long, and else."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows ``(n_rows, n_columns)`` of the circuit's precision, and int64 ``(n_rows,)`` classes."""

    rows: Array
    classes: Array


class _Part:
    """What a thread has of its own: a workspace of the interpreter, vectors for scores, and arguments that say so."""

    def __init__(self, bound: Bound, n_lines: int, dtype: str) -> None:
        self.bound, self.scores = bound, aligned_array(n_lines * lanes_of(dtype), dtype)
        self.arguments: Any = np.zeros(at.OWN_SIZE, np.int64)
        self.arguments[arguments.MODE] = modes.FORWARD
        self.arguments[at.OWN_CIRCUIT], self.arguments[at.OWN_SCORES] = id(bound.arguments), id(self.scores)


class Pace:
    """Whether mates are worth calling for short steps, by what calls took with them and alone.

    Where a machine's processors are halves of one core, or a host stops one of them, threads may be slower together:
    3.3 ms for a training that took 2.8 alone, and 2.2 together a minute before. Results are the same either way.
    """

    def __init__(self) -> None:
        self._taken_s: tuple[deque[float], deque[float]] = deque(maxlen=2), deque(maxlen=2)  # alone, with mates
        self._n_calls = 0

    def choose(self) -> bool:
        """Return whether the next call is to have mates: what was faster, and now and then the other."""
        self._n_calls += 1
        alone, together = self._taken_s
        if not (alone and together):
            return not together
        faster, slower = sorted((min(alone), min(together)))
        other = self._n_calls % (SELDOM if slower < CLOSE * faster else VERY_SELDOM) == 0
        return (min(together) <= min(alone)) is not other

    def note(self, seconds: float, *, with_mates: bool) -> None:
        """Note what a call took, for each row; the faster of the last two counts, since any may be held up."""
        self._taken_s[with_mates].append(seconds)


class Kind(NamedTuple):
    """What working memory is for."""

    size: int
    """Rows."""
    learn: bool
    """Whether it is for steps, and not for looks alone."""
    n_classes: int
    n_parts: int
    """Threads that share a step within compiled code."""
    is_shared: bool
    """Whether several threads share the circuit, called from Python."""


class Batch:
    """The circuit's working memory for batches of one size, and the kernel's arguments for them.

    Attributes:
        runner: of the circuit, while a training has the batch.
        learn: whether it is for steps, and not for looks alone.
        is_shared: whether several threads share the circuit, called from Python.
        block: the arguments.
        kind: what it is for.
        pace: of calls of several epochs; None where all have mates, or none.
        n_bytes: memory that it holds, all but what is small in any case.
    """

    def __init__(self, program: CompiledProgram, runner: Runner, kind: Kind) -> None:
        size, learn, n_classes, n_parts, is_shared = kind
        real = np.dtype(program.dtype)
        self.kind, self.runner, self.learn, self.is_shared = kind, runner, learn, is_shared
        self.inputs, self.weights = np.zeros((size, program.n_inputs)), np.zeros(program.n_weights)
        self.out = np.empty((size, program.n_observables), real)
        self.grad_out = np.empty((size if learn else 0, program.n_observables), real)
        self.grad_angles = np.empty((size if learn else 0, program.n_inputs), real)
        self.grad_weights = np.empty(program.n_weights, real)
        sums = np.empty((runner.n_tiles(size) if learn else 0, runner.n_rotations))
        self.states = runner.new_states(size) if learn else np.empty((0, 0), real)
        self.given = self.inputs, self.weights, np.empty(0, real), self.grad_out
        self.gradients = self.grad_angles, self.grad_weights, sums
        call = self.given, self.states, self.out, self.gradients
        n_outputs, lanes = program.n_observables, lanes_of(program.dtype)
        n_lines, n_groups = at.FIRST_CLASS + n_classes + n_outputs, -(-size // lanes)
        self.bound: Bound = runner.bound(*call)
        bounds = [self.bound, *(runner.bound(*call, self.bound.prepared) for _ in range(n_parts - 1))]
        self._parts = [_Part(bound, n_lines, program.dtype) for bound in bounds]
        self._losses, self._right = np.empty(size), np.empty(n_groups)
        self._sums = aligned_array(n_groups * n_classes * (n_outputs + 1) * lanes if learn else 0, real)
        own = [part.arguments for part in self._parts]
        self._job = job_for(own, n_tiles=runner.n_tiles(size), dtype=program.dtype, learn=learn)
        self.rounded, self.noted = np.empty((2, size, program.n_inputs), real)
        self._words = np.zeros(n_parts, np.int64)
        self.pace = Pace() if n_parts > 1 and runner.updates(size) < SHORT_STEPS else None
        self._dtype = program.dtype
        self.forth = modes.PREPARE | modes.FORWARD | modes.EXPECT | (modes.SAVE if learn else 0)
        self.block: Any = np.zeros(at.ARGUMENTS, np.int64)
        places = {
            at.SIZE: size, at.PER_TILE: runner.samples, at.INTERPRETER: self.bound.address,
            at.TILES: load_kernel("scores", program.dtype).address, at.LEADER: id(self._parts[0].arguments),
            at.CREW: load_kernel("crew", program.dtype).address, at.JOB: id(self._job), at.BOXES: id(self._words),
            at.LOSSES: id(self._losses), at.RIGHT: id(self._right), at.SUMS: id(self._sums),
            at.ANGLES: id(self.inputs), at.ROUNDED: id(self.rounded),
            at.WIDE_WEIGHTS: id(self.weights), at.OUT: id(self.out), at.GRAD_OUT: id(self.grad_out),
            at.GRAD_ANGLES: id(self.grad_angles), at.OWN_GRADIENT: id(self.grad_weights),
            at.NOTED: id(self.noted),
        }  # fmt: skip
        self._places, self._values = np.array(list(places)), np.array(list(places.values()))
        for part in self._parts:
            part.arguments[at.OWN_STEP] = id(self.block)
        self.n_bytes = sum({id(one): one.nbytes for bound in bounds for one in bound.arrays}.values())

    def serve(self, runner: Runner, template: Array) -> None:
        """Belong to a training: its arguments are those of ``template``, but for what the batch has of its own."""
        self.runner = runner
        self.block[:] = template
        self.block[self._places] = self._values

    def attend(self, *, alone: bool = False) -> None:
        """Gather the mates that help in the next steps; none where they are to be taken ``alone``."""
        n_threads = 1 if alone else min(get_threads(), len(self._parts))
        mates = gather(self._dtype, n_threads - 1) if n_threads > 1 else []
        self.block[at.N_MATES] = len(mates)
        for k, mate in enumerate(mates):
            self._words[k] = mate.word

    def begin(self, data: Rows, order: Array, stride: int, n_steps: int) -> None:
        """Note the rows of the next steps, in which order they come, and how many steps were taken before."""
        block = self.block
        block[at.ORDER], block[at.ROWS], block[at.CLASSES] = id(order), id(data.rows), id(data.classes)
        block[at.N_COLUMNS], block[at.STRIDE], block[at.N_STEPS] = data.rows.shape[1], stride, n_steps
        block[at.ORDER_FIRST] = 0

    def set_steps(self, mode: int, first: int, last: int) -> None:
        """Note what is to be done of which steps."""
        self.block[at.MODE], self.block[at.FIRST], self.block[at.LAST] = mode, first, last

    @property
    def whole_mode(self) -> int:
        """All of a step, without Python."""
        return at.ENTER | at.RUN | at.LOOK | (at.LEARN | at.LEAVE if self.learn else 0)

    def run_forth(self) -> None:
        """Run the circuit on several threads."""
        self.runner.run(self.forth, self.given, self.bound.prepared, self.states, self.out)

    def run_back(self) -> None:
        """Take the circuit's gradients on several threads."""
        mode = modes.BACKWARD | modes.FINISH
        self.runner.run(mode, self.given, self.bound.prepared, self.states, self.out, self.gradients)


def take_batch(program: CompiledProgram, template: Array, size: int, *, learn: bool) -> Batch:
    """Return a batch that nobody else has, with the arguments of ``template``: an idle one, or a new one.

    Args:
        program: the circuit.
        template: arguments of the training, the same for all its batches.
        size: rows.
        learn: whether it is for steps, and not for looks alone.

    Raises:
        StateTooLargeError: The states do not fit into memory.
    """
    runner = program.runner_for(size, gradients=learn)
    n_parts = runner.n_sharing(size, backward=learn)
    is_shared = n_parts == 1 and runner.is_shared(size, backward=learn)
    kind = Kind(size, learn, int(template[at.N_CLASSES]), n_parts, is_shared)
    try:  # one step of the interpreter: no other thread gets the same
        batch: Batch = runner.idle[kind].pop()
    except (KeyError, IndexError):
        batch = Batch(program, runner, kind)
    batch.serve(runner, template)
    return batch


def give_back(batch: Batch) -> None:
    """Make a batch idle; the caller must not use it any more."""
    idle = batch.runner.idle
    del batch.runner  # who is kept by it must not keep it
    if batch.n_bytes > KEPT_BYTES:
        return
    if len(idle) >= KEPT_KINDS and batch.kind not in idle:
        idle.clear()
    idle.setdefault(batch.kind, []).append(batch)  # as many as there were trainings at once
