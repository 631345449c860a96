"""What the frontends share: refusals, global phases, and gates written in fewer gates."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from superpose.circuits import GATES, Affine, AngleLike, Condition, If, Instruction, Operation
from superpose.circuits.names import is_identifier
from superpose.errors import AngleError, ConversionError, ParameterNameError

__all__ = ["Names", "Refusal", "alternatives", "expanded", "phase"]

MAX_ELSE_BITS = 6
"""An "else" is written as one condition for each other value of its bits."""

_EXACT = {
    # the matrix of u with its phase, exp(i theta/2), in gates that every toolkit has
    "u": lambda theta, phi, lam: (
        ("p", (0,), (lam,)),
        ("ry", (0,), (theta,)),
        ("p", (0,), (phi + theta,)),
        ("rz", (0,), (-theta,)),
    ),
}


@dataclass(frozen=True)
class Refusal:
    """Who refuses: the toolkit and the direction."""

    toolkit: str
    writing: bool = False

    def of(self, instruction: str, feature: str, position: int | None = None, hint: str = "") -> NoReturn:
        """Refuse an instruction.

        Raises:
            ConversionError: Always.
        """
        where = "" if position is None else f" at position {position}"
        way = f"{self.toolkit} has no words for" if self.writing else f"From {self.toolkit}, superpose cannot keep"
        raise ConversionError(
            f"{way} {feature}: {instruction}{where}.{' ' + hint if hint else ''}",
            toolkit=self.toolkit,
            instruction=instruction,
            position=position,
            feature=feature,
        )


def phase(angle: AngleLike, qubit: int) -> tuple[Instruction, ...]:
    """Return gates that multiply every state by ``exp(i angle)``: nothing for 0.

    >>> [item.gate for item in phase(0.5, 0)]
    ['p', 'rz']
    """
    twice = Affine.of(angle) * 2
    if twice == 0:
        return ()
    return Instruction("p", (qubit,), (twice,)), Instruction("rz", (qubit,), (-twice,))


def expanded(item: Instruction, known: Collection[str]) -> Iterator[Instruction]:
    """Give the call in gates that are ``known``, equal to it with its global phase.

    Raises:
        ConversionError: It does not come down to them.
    """
    if item.gate in known:
        yield item
        return
    row = GATES[item.gate]
    if item.gate in _EXACT:
        steps: Sequence[Any] = _EXACT[item.gate](*item.angles)
        calls = [Instruction(gate, tuple(item.qubits[q] for q in qubits), angles) for gate, qubits, angles in steps]
    elif row.decomposition and row.exact:
        calls = [
            Instruction(step.gate, step.qubits, step.angles)  # type: ignore[arg-type]  # made Affine there
            for step in (row.call(step, item.qubits, item.angles) for step in row.decomposition)
        ]
    else:
        raise ConversionError(f"Gate {item.gate} does not come down to {', '.join(sorted(known))}.", feature=item.gate)
    for call in calls:
        yield from expanded(call, known)


def alternatives(item: If, refusal: Refusal) -> Iterator[tuple[Condition, Operation]]:
    """Give the operations of both branches, each with a condition that it alone stands under: for what has no "else".

    Raises:
        ConversionError: A branch writes a bit that is asked for, so that later operations would see another one; or
            there are more than 6 bits and an "else".
    """
    bits, value = item.condition.bits, item.condition.value
    if any(set(inner.bits) & set(bits) for inner in (*item.then, *item.otherwise)):
        refusal.of("If", "a condition whose branch writes or asks for its own bits again")
    if item.otherwise and len(bits) > MAX_ELSE_BITS:
        refusal.of("If", f"an else on {len(bits)} bits")
    for inner in item.then:
        yield item.condition, inner
    for other in range(1 << len(bits)) if item.otherwise else ():
        if other != value:
            for inner in item.otherwise:
                yield Condition(bits, other), inner


@dataclass
class Names:
    """Names of parameters as they come in, and what they are called here."""

    refusal: Refusal
    known: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str) -> str:
        """Return the name here: ``v[0]`` becomes ``v_0``, all others stay.

        Raises:
            ConversionError: The name cannot be one here, or two would become one.
        """
        if name not in self.known:
            here = name if is_identifier(name) else name.replace("[", "_").replace("]", "")
            if here in self.known.values():
                self.refusal.of(name, "two parameters of one name", hint=f"Both would be called {here!r} here.")
            try:
                Affine(((here, 1.0),))
            except ParameterNameError as error:
                self.refusal.of(name, "a parameter's name", hint=str(error))
            self.known[name] = here
        return self.known[name]

    def affine(self, expression: Any, symbols: Sequence[str], at: Any, instruction: str) -> Affine:
        """Return an expression as an `Affine`: from its values where all symbols are 0, and where one is 1, 2 or -3.

        Args:
            expression: For the message.
            symbols: Names of its symbols, as they come in.
            at: The expression's value for a mapping of all symbols to numbers.
            instruction: For the message.

        Raises:
            ConversionError: The expression is not affine in its symbols.
        """
        zero = dict.fromkeys(symbols, 0.0)
        try:
            constant = float(at(zero))
            slopes = {name: float(at(zero | {name: 1.0})) - constant for name in symbols}
            probes = [
                {name: (-1.0) ** place * (0.7 + 0.31 * place) * scale for place, name in enumerate(symbols)}
                for scale in (2.0, -3.0)
            ]
            for values in probes:
                want = constant + sum(slopes[name] * values[name] for name in symbols)
                if abs(float(at(values)) - want) > 1e-9 * (1 + abs(want)):
                    raise AngleError("not affine")
            return Affine({self(name): slope for name, slope in slopes.items()}, constant)  # type: ignore[arg-type]  # a mapping is taken
        except (AngleError, ValueError, TypeError, ZeroDivisionError, OverflowError):
            return self.refusal.of(
                instruction,
                f"the angle {expression}, which is not affine in its parameters",
                hint="Put what is not affine into a feature map in front of the circuit.",
            )
