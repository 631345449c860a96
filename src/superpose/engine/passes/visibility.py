"""A pass that puts what no observable sees last, so that expectations need not run it."""

from __future__ import annotations

from collections.abc import Iterable

from superpose.engine.passes.form import Form, Rotation, rotations_of

__all__ = ["put_unseen_last"]

SEARCH = 32
"""With how many later rotations of either sort, diagonal or not, one is compared at most."""


def put_unseen_last(form: Form, strings: Iterable[tuple[int, int]]) -> tuple[Form, int]:
    """Move rotations that commute with the observables and with all later rotations that they see to the end.

    Rule: in ``<U^-1 O U>`` a rotation at the end of U that commutes with O drops out, and rotations about strings that
    commute change places. What is outside the light cone of all observables goes, and more than that.

    Args:
        form: Without Clifford gates.
        strings: The observables' Pauli strings (x, z) behind the frame: ``F^-1 P F``.

    Returns:
        The form, and how many rotations at its start the observables see (a few that they do not see may be among
        them, since the search is bounded).

    Cost: linear in the rotations; each is compared with ``2 * SEARCH`` others at most.
    """
    cone = _Cone()
    for x, z in strings:
        cone.add(x, z)
    seen: list[Rotation] = []
    unseen: list[Rotation] = []
    for item in reversed(rotations_of(form)):
        if cone.sees(item[0], item[1]):
            seen.append(item)
            cone.add(item[0], item[1])
        else:
            unseen.append(item)
    return form._replace(items=[*reversed(seen), *reversed(unseen)]), len(seen)


class _Cone:
    """Strings that matter: those of observables, and of the rotations that they see."""

    def __init__(self) -> None:
        self.diagonal: list[int] = []
        self.others: list[tuple[int, int]] = []
        self.all_x = self.all_z = 0

    def add(self, x: int, z: int) -> None:
        if x:
            self.others.append((x, z))
            self.all_x |= x
        else:
            self.diagonal.append(z)
        self.all_z |= z

    def sees(self, x: int, z: int) -> bool:
        """Return whether the string anticommutes with one of these, or they are too many to tell."""
        if not (x & self.all_z or z & self.all_x):
            return False
        for x2, z2 in self.others[-1 : -SEARCH - 1 : -1]:
            if ((x & z2).bit_count() ^ (z & x2).bit_count()) & 1:
                return True
        if len(self.others) > SEARCH:
            return True
        if not x:
            return False
        for z2 in self.diagonal[-1 : -SEARCH - 1 : -1]:
            if (x & z2).bit_count() & 1:
                return True
        return len(self.diagonal) > SEARCH
