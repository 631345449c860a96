"""Pauli strings as bit masks, and the Clifford frame that swallows permutations and sign flips at no cost.

A Pauli string is ``(x, z, k)``, meaning ``i^k X^x Z^z``: ``X^x`` flips the index bits in ``x``, ``Z^z`` multiplies by
``(-1)^parity(index & z)`` first. Qubit 0 is the most significant index bit. Masks are Python integers of any width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["METHODS", "Frame", "Pauli", "anticommute", "multiply", "pauli_string"]

Pauli = tuple[int, int, int]


def multiply(a: Pauli, b: Pauli) -> Pauli:
    """Return the product ``a b`` as an operator."""
    return a[0] ^ b[0], a[1] ^ b[1], (a[2] + b[2] + 2 * ((a[1] & b[0]).bit_count() & 1)) & 3


def anticommute(x: int, z: int, x2: int, z2: int) -> int:
    """Return 1 if the strings with these masks anticommute, 0 if they commute."""
    return ((x & z2).bit_count() ^ (z & x2).bit_count()) & 1


def pauli_string(letters: Iterable[tuple[int, str]], n_qubits: int) -> Pauli:
    """Return the string with these letters (I, X, Y, Z) on these distinct qubits."""
    x = z = k = 0
    for qubit, letter in letters:
        bit = 1 << (n_qubits - 1 - qubit)
        if letter in "XY":
            x |= bit
        if letter in "ZY":
            z |= bit
        k += letter == "Y"
    return x, z, k & 3


class Frame:
    """A Clifford operator ``F`` made of gates that permute and rephase basis states: X, Y, Z, S, CX, CY, CZ, SWAP.

    The engine runs ``V`` where the circuit is ``F V``: appending a gate to the frame touches no amplitude, and a
    rotation about ``P`` appended to the circuit becomes one about ``F^-1 P F`` of ``V``.

    Attributes:
        x, z: ``F^-1 X_q F`` and ``F^-1 Z_q F`` per qubit.
        origin, quarters: ``F|0...0> = i^quarters |origin>``.
    """

    def __init__(self, n_qubits: int) -> None:
        self.n_qubits = n_qubits
        self.x: list[Pauli] = [(1 << (n_qubits - 1 - q), 0, 0) for q in range(n_qubits)]
        self.z: list[Pauli] = [(0, 1 << (n_qubits - 1 - q), 0) for q in range(n_qubits)]
        self.origin = 0
        self.quarters = 0

    def _bit(self, qubit: int) -> int:
        return self.origin >> (self.n_qubits - 1 - qubit) & 1

    def gate_x(self, q: int) -> None:
        """Append X."""
        x, z, k = self.z[q]
        self.z[q] = x, z, k ^ 2
        self.origin ^= 1 << (self.n_qubits - 1 - q)

    def gate_z(self, q: int) -> None:
        """Append Z."""
        x, z, k = self.x[q]
        self.x[q] = x, z, k ^ 2
        self.quarters += 2 * self._bit(q)

    def gate_y(self, q: int) -> None:
        """Append Y = i X Z."""
        self.gate_z(q)
        self.gate_x(q)
        self.quarters += 1

    def gate_s(self, q: int) -> None:
        """Append S: ``S^-1 X S = -Y = -i X Z``."""
        x, z, k = multiply(self.x[q], self.z[q])
        self.x[q] = x, z, (k + 3) & 3
        self.quarters += self._bit(q)

    def gate_sdg(self, q: int) -> None:
        """Append the inverse of S: ``S X S^-1 = Y = i X Z``."""
        x, z, k = multiply(self.x[q], self.z[q])
        self.x[q] = x, z, (k + 1) & 3
        self.quarters += 3 * self._bit(q)

    def gate_cx(self, c: int, t: int) -> None:
        """Append CX: ``X_c -> X_c X_t`` and ``Z_t -> Z_c Z_t``."""
        xs, zs = self.x, self.z
        x, z, k = xs[c]
        x2, z2, k2 = xs[t]
        xs[c] = x ^ x2, z ^ z2, (k + k2 + 2 * (z & x2).bit_count()) & 3
        x, z, k = zs[c]
        x2, z2, k2 = zs[t]
        zs[t] = x ^ x2, z ^ z2, (k + k2 + 2 * (z & x2).bit_count()) & 3
        if self.origin and self._bit(c):
            self.origin ^= 1 << (self.n_qubits - 1 - t)

    def gate_cz(self, a: int, b: int) -> None:
        """Append CZ: ``X_a -> X_a Z_b`` and ``X_b -> Z_a X_b``."""
        self.x[a], self.x[b] = multiply(self.x[a], self.z[b]), multiply(self.z[a], self.x[b])
        self.quarters += 2 * (self._bit(a) & self._bit(b))

    def gate_cy(self, c: int, t: int) -> None:
        """Append CY = S_t CX S_t^-1."""
        self.gate_sdg(t)
        self.gate_cx(c, t)
        self.gate_s(t)

    def gate_swap(self, a: int, b: int) -> None:
        """Append SWAP."""
        self.x[a], self.x[b] = self.x[b], self.x[a]
        self.z[a], self.z[b] = self.z[b], self.z[a]
        if self._bit(a) != self._bit(b):
            self.origin ^= (1 << (self.n_qubits - 1 - a)) | (1 << (self.n_qubits - 1 - b))

    def pull(self, letters: Iterable[tuple[int, str]]) -> Pauli:
        """Return ``F^-1 P F`` for the string P with these letters on these qubits."""
        out: Pauli = (0, 0, 0)
        for qubit, letter in letters:
            if letter == "Z":
                out = multiply(out, self.z[qubit])
            elif letter == "X":
                out = multiply(out, self.x[qubit])
            elif letter == "Y":
                x, z, k = multiply(self.x[qubit], self.z[qubit])
                out = multiply(out, (x, z, (k + 1) & 3))
        return out

    def pull_masks(self, x: int, z: int) -> tuple[int, int, int]:
        """Return masks of ``F^-1 P F`` for ``P = i^k X^x Z^z`` with k the parity of ``x & z``, and 1 if it is negative,
        else 0."""
        n = self.n_qubits
        new_x = new_z = 0
        k = (x & z).bit_count() & 1
        for mask, images in ((x, self.x), (z, self.z)):
            while mask:
                place = mask.bit_length()
                x2, z2, k2 = images[n - place]
                k += k2 + 2 * (new_z & x2).bit_count()
                new_x ^= x2
                new_z ^= z2
                mask ^= 1 << (place - 1)
        return new_x, new_z, (k - ((new_x & new_z).bit_count() & 1)) >> 1 & 1

    def half_turns(self, x: int, z: int, n: int) -> None:
        """Append ``(-i P)^n`` for ``P = i^k X^x Z^z`` with k the parity of ``x & z``."""
        self.quarters -= n
        if n & 1:
            self.quarters += ((x & z).bit_count() & 1) + 2 * (self.origin & z).bit_count()
            self.origin ^= x
            self._negate(self.x, z)
            self._negate(self.z, x)

    def _negate(self, images: list[Pauli], mask: int) -> None:
        while mask:
            place = mask.bit_length()
            x, z, k = images[self.n_qubits - place]
            images[self.n_qubits - place] = x, z, k ^ 2
            mask ^= 1 << (place - 1)

    def quarter_turns(self, z: int, n: int) -> None:
        """Append ``exp(-i n pi/4 Z^z)`` times ``exp(i n pi/4)``, for odd n: ``X_q -> (-i)^n X_q Z^z`` where z has q."""
        own_x, own_z, negative = self.pull_masks(0, z)
        turn = own_x, own_z, (2 * negative - n) & 3
        rest = z
        while rest:
            place = rest.bit_length()
            self.x[self.n_qubits - place] = multiply(self.x[self.n_qubits - place], turn)
            rest ^= 1 << (place - 1)
        if (self.origin & z).bit_count() & 1:
            self.quarters += n

    def after(self, other: Frame) -> Frame:
        """Return the frame of the product ``F G``, G being that of ``other``; a new one, or one of the two."""
        if other.is_identity:
            return self
        if self.is_identity:
            return other
        out = Frame(self.n_qubits)
        out.x = [other._pull(string) for string in self.x]
        out.z = [other._pull(string) for string in self.z]
        out.origin, turns = self.basis_state(other.origin)
        out.quarters = other.quarters + turns
        return out

    def _pull(self, string: Pauli) -> Pauli:
        """Return ``F^-1 P F`` for any string."""
        x, z, k = string
        new_x, new_z, negative = self.pull_masks(x, z)
        k += ((new_x & new_z).bit_count() & 1) - ((x & z).bit_count() & 1) + 2 * negative
        return new_x, new_z, k & 3

    @property
    def is_identity(self) -> bool:
        """Whether nothing was appended, or nothing that remains."""
        new = Frame(self.n_qubits)
        return self.x == new.x and self.z == new.z and self.origin == 0 and self.quarters % 4 == 0

    def basis_state(self, index: int) -> tuple[int, int]:
        """Return p and t of ``F|index> = i^t |p>``.

        ``p`` is affine in the bits of the index, as `z` says. With ``S`` the bits in which it differs from the origin,
        ``X_S F|0> = F (F^-1 X_S F)|0>``, and the string on the right takes ``|0>`` to ``i^k |index>``.
        """
        n, target, k, z = self.n_qubits, self.origin, 0, 0
        for q in range(n):
            if (index & self.z[q][1]).bit_count() & 1:
                target ^= 1 << (n - 1 - q)
                _, z2, k2 = self.x[q]
                k += k2 + 2 * (z & self.x[q][0]).bit_count()
                z ^= z2
        return target, (self.quarters - k) & 3


METHODS: dict[str, Callable[..., None]] = {
    name: getattr(Frame, f"gate_{name}") for name in ("x", "y", "z", "s", "sdg", "cx", "cy", "cz", "swap")
}
"""How each gate is appended: called with the frame and the qubits."""
