"""Backends held to residency rules: looked through to the places where programs really go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias, runtime_checkable

from superpose.backends.residency.rules import Place, Refusal, ResidencyRules
from superpose.circuits import Backend, LocatedBackend, WrappingBackend
from superpose.errors import ResidencyError

__all__ = ["Current", "RuledBackend", "confine", "leaves", "refusals", "refused", "require"]

Current: TypeAlias = Callable[[], ResidencyRules | None]
"""What tells the rules that count now; None where there are none."""


@runtime_checkable
class RuledBackend(Backend, Protocol):
    """A backend that chooses among others and keeps to rules while it does: a fleet, "auto"."""

    def obey(self, current: Current) -> None:
        """Hand programs on only to what ``current()`` allows, asked anew before each."""
        ...

    def refusals(self, rules: ResidencyRules) -> tuple[Refusal, ...]:
        """Return why nothing could be chosen under ``rules``; none where something can."""
        ...


def leaves(backend: Backend) -> Iterator[Backend]:
    """Yield the backends to which programs go in the end: through mitigation, cutting and fleets."""
    if isinstance(backend, WrappingBackend):
        for one in backend.wrapped:
            yield from leaves(one)
    else:
        yield backend


def refusals(backend: Backend, rules: ResidencyRules) -> tuple[Refusal, ...]:
    """Return each rule that ``backend`` breaks: where it wraps others, what these break; where it chooses, what
    leaves it nothing to choose.

    Cost: the backend's capabilities, if it is not on this machine.
    """
    if isinstance(backend, RuledBackend):
        return backend.refusals(rules)
    if isinstance(backend, WrappingBackend):
        return tuple(dict.fromkeys(refusal for one in backend.wrapped for refusal in refusals(one, rules)))
    region = backend.region if isinstance(backend, LocatedBackend) else None
    return rules.refusals(Place(backend.name, region, not backend.capabilities().simulator))


def require(backend: Backend, rules: ResidencyRules | None) -> None:
    """Check that ``backend`` may be used.

    Raises:
        ResidencyError: It may not; ``details`` hold each rule that it breaks.
    """
    found = () if rules is None else refusals(backend, rules)
    if found and rules is not None:
        raise refused(backend.name, found, rules)


def refused(name: str, found: tuple[Refusal, ...], rules: ResidencyRules) -> ResidencyError:
    """Return the error that says why a backend may not be used."""
    whose = f" of {rules.owner}" if rules.owner else ""
    return ResidencyError(
        f"Programs may not go to {name!r} by the residency rules{whose}: {' '.join(map(str, found))} Take a backend "
        "that they allow, 'local' or 'auto', or have the rules changed.",
        backend=name,
        refusals=[one.to_json() for one in found],
        rules=rules.to_json(),
    )


def confine(backend: Backend, current: Current, *, check: bool = True) -> Backend:
    """Return ``backend``, held to the rules that ``current`` tells from now on.

    Args:
        backend: As it was made for one job; those within it that choose are changed.
        current: Asked now, and by whatever chooses within ``backend`` before each program that it hands on.
        check: Whether the rules must allow it now; not where it is only asked for what it has already.

    Raises:
        ResidencyError: The rules do not allow it.
    """
    if check:
        require(backend, current())
    _obey(backend, current)
    return backend


def _obey(backend: Backend, current: Current) -> None:
    if isinstance(backend, RuledBackend):
        backend.obey(current)
    if isinstance(backend, WrappingBackend):
        for one in backend.wrapped:
            _obey(one, current)
