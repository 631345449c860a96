"""Names to backends: this machine, single backends and providers of installed packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from superpose.backends.local import LocalBackend
from superpose.circuits import (
    Backend,
    BackendInfo,
    BackendKind,
    CalibratedBackend,
    ListedBackend,
    LocatedBackend,
    Provider,
)
from superpose.errors import BackendUnknownError, SuperposeError

__all__ = [
    "BACKENDS",
    "BACKEND_GROUP",
    "PROVIDER_GROUP",
    "describe_backend",
    "find_backend",
    "list_backends",
    "provider",
]

BACKENDS: Mapping[str, Callable[[], Backend]] = MappingProxyType({"local": LocalBackend})
"""Makers of the backends that need no package and no provider, by name."""

BACKEND_GROUP = "superpose.backends"
"""The group of entry points in which installed packages offer single backends: a callable without arguments each."""

PROVIDER_GROUP = "superpose.providers"
"""The group in which they offer providers: a callable without arguments that makes a `Provider`, by the name before the
colon."""


def find_backend(name: str) -> Backend:
    """Return the backend of this name: "local", a package's single backend, or "provider:backend".

    Raises:
        BackendUnknownError: There is none, or what a package offers under this name is none.
        ToolkitMissingError, ProviderError: Its package is missing; its provider does not let us in.

    Cost: reading the installed packages' entry points, some 10 ms once; then what the backend takes to load.
    """
    if name in BACKENDS:
        return BACKENDS[name]()
    family, colon, rest = name.partition(":")
    if colon:
        return provider(family).backend(rest)
    offered = _offered(BACKEND_GROUP)
    if name not in offered:
        known = [*BACKENDS, *sorted(offered), *(f"{family}:..." for family in sorted(_offered(PROVIDER_GROUP)))]
        raise BackendUnknownError(
            f"There is no backend {name!r}; known are {', '.join(known)}. `superpose backends` lists all.",
            name=name,
            allowed=known,
        )
    made = _made(offered[name])
    if not isinstance(made, Backend):
        raise BackendUnknownError(
            f"What a package offers as backend {name!r} is none: {type(made).__name__}.", name=name
        )
    return made


def provider(name: str) -> Provider:
    """Return the provider of this name.

    Raises:
        BackendUnknownError: There is none, or what a package offers under this name is none.
    """
    offered = _offered(PROVIDER_GROUP)
    if name not in offered:
        known = sorted(offered)
        raise BackendUnknownError(
            f"There is no provider {name!r}; known are {', '.join(known) or 'none'}.", name=name, allowed=known
        )
    made = _made(offered[name])
    if not isinstance(made, Provider):
        raise BackendUnknownError(
            f"What a package offers as provider {name!r} is none: {type(made).__name__}.", name=name
        )
    return made


def list_backends(names: Iterable[str] | None = None) -> list[BackendInfo]:
    """Return a line for every backend there is, or for those of these names: this machine's first, then by name.

    A package that fails to load, and a provider that cannot be asked, is a line with the reason.

    Cost: what the providers' lists take. Ours load a vendor's package only where there is an account to be asked.
    """
    wanted = None if names is None else frozenset(names)
    families = None if wanted is None else {name.partition(":")[0] for name in wanted if ":" in name}
    singles = {**BACKENDS, **{name: _maker(point) for name, point in sorted(_offered(BACKEND_GROUP).items())}}
    lines = [_line(name, make) for name, make in singles.items() if wanted is None or name in wanted]
    for family in sorted(_offered(PROVIDER_GROUP)):
        if families is None or family in families:
            lines += [info for info in _listed(family) if wanted is None or info.name in wanted]
    return lines


def describe_backend(name: str) -> BackendInfo:
    """Return a line for the backend of this name, though its provider may not list it: one around another, "zne:NAME".

    Raises:
        BackendUnknownError, ToolkitMissingError, ProviderError: See `find_backend`.
    """
    found = find_backend(name)
    return replace(_line(name, lambda: found), provider=name.partition(":")[0])


def _listed(name: str) -> Iterator[BackendInfo]:
    try:
        yield from sorted(provider(name).list(), key=lambda info: info.name)
    except Exception as error:  # of somebody else's package: its failure is its line, not the list's end
        yield _unavailable(name, error)


def _line(name: str, make: Callable[[], Backend]) -> BackendInfo:
    try:
        backend = make()
        if isinstance(backend, ListedBackend):
            return backend.info()
        able = backend.capabilities()
        at = backend.calibration().taken_at if isinstance(backend, CalibratedBackend) else None
    except Exception as error:
        return _unavailable(name, error)
    errs = at is not None or able.native_gates is not None
    kind: BackendKind = "qpu" if not able.simulator else "emulator" if errs else "simulator"
    return BackendInfo(
        name=name,
        provider=name,
        n_qubits=able.max_qubits,
        kind=kind,
        status="online",
        calibration_at=at,
        region=backend.region if isinstance(backend, LocatedBackend) else None,
    )


def _unavailable(name: str, error: Exception) -> BackendInfo:
    text = str(error) if isinstance(error, SuperposeError) else f"{type(error).__name__}: {error}"
    return BackendInfo(name=name, provider=name, n_qubits=None, kind=None, status="unavailable", note=text)


def _offered(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _maker(point: EntryPoint) -> Callable[[], Backend]:
    def make() -> Backend:
        made = _made(point)
        if not isinstance(made, Backend):
            raise BackendUnknownError(f"What a package offers as backend {point.name!r} is none.", name=point.name)
        return made

    return make


def _made(point: EntryPoint) -> object:
    """What an entry point's callable makes."""
    make: Callable[[], object] = point.load()
    return make()
