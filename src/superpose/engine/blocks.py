"""Cosets: which amplitudes a run of rotations mixes with one another, and their numbering.

Rotations about ``i^k X^x Z^z`` map amplitude ``j`` to itself and to ``j ^ x``. So those whose ``x`` lie in a space of
dimension ``d`` over the two-element field keep each coset of ``2**d`` amplitudes together, and can be run on one coset
after the other while it sits in the fastest cache.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Span", "duals"]


class Span:
    """A growing space of bit masks, in reduced echelon form: each basis vector has a pivot bit that no other one has.

    Args:
        dimension: Largest dimension. If it is ``n_bits``, the space is that of all masks from the start.
        n_bits: Bits that masks may have.
    """

    __slots__ = ("basis", "dimension", "is_whole", "n_bits")

    def __init__(self, dimension: int, n_bits: int) -> None:
        self.dimension = min(dimension, n_bits)
        self.n_bits = n_bits
        self.is_whole = self.dimension == n_bits
        self.basis: dict[int, int] = {1 << bit: 1 << bit for bit in range(n_bits)} if self.is_whole else {}
        """Pivot bit (a power of 2) to vector."""

    def add(self, *masks: int) -> bool:
        """Add masks to the space, unless that takes more dimensions than there may be; return whether it was done."""
        if self.is_whole:
            return True
        old = basis = self.basis
        for mask in masks:
            rest = mask
            for pivot, vector in basis.items():
                if mask & pivot:
                    rest ^= vector
            if not rest:
                continue
            if len(basis) == self.dimension:
                return False
            pivot = rest & -rest  # the lowest bit, so that neighbours in memory come first
            if basis is old:
                basis = dict(old)
            for other, vector in basis.items():
                if vector & pivot:
                    basis[other] = vector ^ rest
            basis[pivot] = rest
        self.basis = basis
        return True

    def fill(self) -> None:
        """Add single bits, low ones first, until the space has its dimension."""
        basis = self.basis
        missing = self.dimension - len(basis)
        for bit in range(self.n_bits):
            if not missing:
                return
            mask = 1 << bit
            # a pivot that stands in its vector alone is that bit; other pivots leave it if the bit joins
            rest = mask ^ basis.get(mask, 0)
            if rest:
                pivot = rest & -rest
                for other, vector in basis.items():
                    if vector & pivot:
                        basis[other] = vector ^ rest
                basis[pivot] = rest
                missing -= 1

    @property
    def pivots(self) -> list[int]:
        """The pivot bits, ascending."""
        return sorted(self.basis)

    def elements(self) -> list[int]:
        """Return the masks of the space, ``2**dimension`` of them: number ``e`` has the pivots that the bits of ``e``
        say."""
        out = [0]
        for pivot in self.pivots:
            vector = self.basis[pivot]
            out += [element ^ vector for element in out]
        return out

    def number(self, mask: int) -> int:
        """Return the number of a mask of the space."""
        return mask if self.is_whole else sum(1 << k for k, pivot in enumerate(self.pivots) if mask & pivot)

    def even_basis(self, zs: Sequence[int], ys: Sequence[int]) -> list[int]:
        """Return a basis of the masks of the space that have even parity with every z.

        Args:
            zs: Masks.
            ys: Masks of the space; the parity of ``ys[k] & zs[l]`` is 1 for k = l, else 0.
        """
        pairs = list(zip(zs, ys, strict=True))
        pivots = self.pivots
        if self.is_whole:
            taken, numbers = 0, list(ys)
        else:
            taken, numbers = 0, [sum(pivot for pivot in pivots if y & pivot) for y in ys]
        while numbers:
            number = numbers.pop()
            top = 1 << number.bit_length() - 1
            taken |= top
            numbers = [other ^ number if other & top else other for other in numbers]
        out = []
        for pivot in pivots:
            if not pivot & taken:
                vector = rest = self.basis[pivot]
                for z, y in pairs:
                    if (vector & z).bit_count() & 1:
                        rest ^= y
                out.append(rest)
        return out


def duals(zs: Sequence[int]) -> list[int] | None:
    """Return masks ``ys`` such that the parity of ``ys[k] & zs[l]`` is 1 for k = l, else 0.

    None if the zs are dependent.
    """
    reduced: list[tuple[int, int, int]] = []  # row, which zs it is the sum of, its pivot bit
    for k, z in enumerate(zs):
        row, of = z, 1 << k
        for other, other_of, pivot in reduced:
            if row & pivot:
                row, of = row ^ other, of ^ other_of
        if not row:
            return None
        pivot = row & -row
        reduced = [
            (other ^ row, other_of ^ of, bit) if other & pivot else (other, other_of, bit)
            for other, other_of, bit in reduced
        ]
        reduced.append((row, of, pivot))
    return [sum(pivot for _, of, pivot in reduced if of >> k & 1) for k in range(len(zs))]
