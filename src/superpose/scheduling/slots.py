"""Who may hand a program over to a provider that takes few at a time: pure policy, without I/O and without a clock."""

from __future__ import annotations

from dataclasses import dataclass

from superpose.scheduling.order import AGING_S

__all__ = ["SlotUse", "may_hand_over"]


@dataclass(frozen=True)
class SlotUse:
    """What a provider holds.

    Attributes:
        n_held: programs in its queue or running there, and those that are about to be handed over.
        n_loops: running loops whose programs go there: trainings that need one result before they ask for the next.
        n_loops_held: of these, those that have a program there.
        n_loops_refused: of these, those that wanted to hand one over and found no slot.
    """

    n_held: int
    n_loops: int = 0
    n_loops_held: int = 0
    n_loops_refused: int = 0


def may_hand_over(slots: int | None, use: SlotUse, *, in_loop: bool, waited_s: float = 0.0) -> bool:
    """Whether one more program may go to a provider that has ``slots`` for this service; None: any number.

    A running loop takes any free slot. A program by itself leaves a slot free for each loop that holds none at the
    moment, but never all slots because of loops that only might come, and it leaves as many as loops were refused. So a
    loop never waits behind programs that came after it began, and loops that compute leave the provider to others. A
    program that has waited for ``AGING_S`` counts as a loop's, so none waits for ever.

    >>> may_hand_over(2, SlotUse(n_held=1, n_loops=1), in_loop=False)
    False
    >>> may_hand_over(2, SlotUse(n_held=1, n_loops=1), in_loop=True)
    True
    >>> may_hand_over(2, SlotUse(n_held=1, n_loops=1, n_loops_held=1), in_loop=False)
    True
    """
    if slots is None:
        return True
    free = slots - use.n_held
    if in_loop or waited_s >= AGING_S:
        return free > 0
    kept = max(min(use.n_loops - use.n_loops_held, slots - 1), use.n_loops_refused)
    return free > kept
