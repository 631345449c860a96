"""How a circuit becomes rotations in front of a frame: small passes, one after the other, each of which keeps the
unitary, global phase included."""

from __future__ import annotations

from collections.abc import Callable

from superpose.engine.passes.cancellation import cancel
from superpose.engine.passes.folding import fold_permutations, fold_quarter_turns
from superpose.engine.passes.form import Form
from superpose.engine.passes.fusion import fuse_rotations
from superpose.engine.passes.gathering import gather_diagonals
from superpose.engine.passes.translation import translate
from superpose.engine.passes.visibility import put_unseen_last

__all__ = ["PASSES", "Pass", "gather_diagonals", "put_unseen_last", "translate"]

Pass = Callable[[Form], Form]

PASSES: tuple[Pass, ...] = (fold_permutations, fuse_rotations, cancel, fold_quarter_turns, fuse_rotations, cancel)
"""What is done to a translated circuit, in this order. Then, knowing the observables, `put_unseen_last`, and
`gather_diagonals` for what they see and for the rest."""
