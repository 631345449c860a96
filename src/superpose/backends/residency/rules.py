"""What a project says about where its programs and data may go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from superpose.backends.residency.regions import HERE, check_region, region_codes
from superpose.errors import ResidencyRulesError

__all__ = ["Place", "Refusal", "ResidencyRules"]

LOCAL = "local"
_MAX_NAMES = 200
_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program would go.

    Attributes:
        name: Of the backend, "ibm:ibm_fez".
        region: In the provider's own word; None where that is not told.
        processor: Whether a quantum processor runs it.
    """

    name: str
    region: str | None
    processor: bool

    @property
    def provider(self) -> str:
        """What stands before the colon; a backend without provider is its own."""
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a place is not allowed.

    Attributes:
        backend: Name of the backend.
        rule: The rule that it breaks: regions, providers, deny_providers, backends, deny_backends or processors.
        got: What it is, in the rule's words.
        allowed: What the rule allows; what it denies, where its name begins with ``deny_``.
    """

    backend: str
    rule: str
    got: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        if self.rule == "processors":
            return f"{self.backend} is a quantum processor, and rule processors allows none."
        verb = "denies" if self.rule.startswith("deny_") else "allows"
        return f"{self.backend} {self.got}, and rule {self.rule} {verb} {', '.join(self.allowed)}."

    def to_json(self) -> dict[str, Any]:
        """Return it in JSON values."""
        return {"backend": self.backend, "rule": self.rule, "got": self.got, "allowed": list(self.allowed)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidencyRules:
    """Where programs and data may go; each rule that is said must hold. "local", this machine's own engine, is where
    they are already: nothing goes anywhere, and no rule is about it.

    Attributes:
        regions: Names of regions (see `check_region`), in one of which a backend must be. A backend on this machine is
            in each; one that does not tell its region, or by a word nobody knows, in none.
        providers: Names of providers, one of which must offer it.
        deny_providers: Names of providers that may not.
        backends: Names of backends, or patterns ("ibm:*"), one of which it must be.
        deny_backends: Names or patterns, none of which it may be.
        processors: Whether quantum processors may be used at all.
        owner: Whose rules these are, for messages: "project 'cardiology'".

    Raises:
        ResidencyRulesError: A name that cannot be meant, or no rule at all.
    """

    regions: frozenset[str] | None = None
    providers: frozenset[str] | None = None
    deny_providers: frozenset[str] = frozenset()
    backends: frozenset[str] | None = None
    deny_backends: frozenset[str] = frozenset()
    processors: bool = True
    owner: str = ""

    def __post_init__(self) -> None:
        for name in ("regions", "providers", "deny_providers", "backends", "deny_backends"):
            value = getattr(self, name)
            if value is None and not name.startswith("deny_"):
                continue
            object.__setattr__(self, name, _names(name, value))
        for region in self.regions or ():
            check_region(region)
        if not isinstance(self.processors, bool):
            raise ResidencyRulesError(f"processors must be true or false, got {self.processors!r}.", field="processors")
        if LOCAL in self.deny_providers | self.deny_backends:
            raise ResidencyRulesError(
                f"{LOCAL!r} cannot be denied: it is this machine itself, where programs and data are kept.",
                field="deny_backends",
            )
        said = (self.regions, self.providers, self.backends, self.deny_providers or None, self.deny_backends or None)
        if self.processors and all(rule is None for rule in said):
            raise ResidencyRulesError(
                "At least one rule must be said: regions, providers, deny_providers, backends, deny_backends, or "
                "processors: false. To have none, clear the rules."
            )

    def refusals(self, place: Place) -> tuple[Refusal, ...]:
        """Return each rule that a place breaks; none where it is allowed.

        >>> rules = ResidencyRules(regions=frozenset({"eu"}))
        >>> [str(one) for one in rules.refusals(Place("ibm:ibm_fez", "us-east", True))]
        ["ibm:ibm_fez is in 'us-east' (us), and rule regions allows eu."]
        >>> rules.refusals(Place("braket:Garnet", "eu-north-1", True)), rules.refusals(Place("aer", "here", False))
        ((), ())
        """
        return () if place.name == LOCAL else tuple(self._refusals(place))

    def denies_name(self, name: str) -> tuple[Refusal, ...]:
        """Return the denials that a backend's name alone meets, so that a denied provider is not even asked."""
        provider = name.partition(":")[0]
        return tuple(self._denials(name, provider))

    def _refusals(self, place: Place) -> Iterator[Refusal]:
        name, provider = place.name, place.provider
        outside = place.region != HERE and not region_codes(provider, place.region) & (self.regions or frozenset())
        if self.regions is not None and outside:
            yield Refusal(name, "regions", _told(provider, place.region), tuple(sorted(self.regions)))
        if self.providers is not None and provider not in self.providers:
            yield Refusal(name, "providers", f"is of provider {provider!r}", tuple(sorted(self.providers)))
        if self.backends is not None and not _any(name, self.backends):
            yield Refusal(name, "backends", "is another one", tuple(sorted(self.backends)))
        yield from self._denials(name, provider)
        if place.processor and not self.processors:
            yield Refusal(name, "processors", "is a quantum processor", ())

    def _denials(self, name: str, provider: str) -> Iterator[Refusal]:
        if provider in self.deny_providers:
            yield Refusal(name, "deny_providers", f"is of provider {provider!r}", tuple(sorted(self.deny_providers)))
        if _any(name, self.deny_backends):
            yield Refusal(name, "deny_backends", "is one of them", tuple(sorted(self.deny_backends)))

    def to_json(self) -> dict[str, Any]:
        """Return the rules in JSON values, without their owner."""

        def told(names: frozenset[str] | None) -> list[str] | None:
            return None if names is None else sorted(names)

        return {
            "regions": told(self.regions),
            "providers": told(self.providers),
            "deny_providers": sorted(self.deny_providers),
            "backends": told(self.backends),
            "deny_backends": sorted(self.deny_backends),
            "processors": self.processors,
        }

    @classmethod
    def from_json(cls, document: object, owner: str = "") -> ResidencyRules:
        """Return the rules of a document; what is absent or null is not a rule.

        Raises:
            ResidencyRulesError: It is none.
        """
        if not isinstance(document, Mapping):
            raise ResidencyRulesError(f"Residency rules are a JSON object, got {type(document).__name__}.")
        known = {field.name for field in fields(cls)} - {"owner"}
        unknown = sorted(map(str, set(document) - known))
        if unknown:
            raise ResidencyRulesError(
                f"There is no residency rule {', '.join(unknown)}; there are {', '.join(sorted(known))}.",
                field=unknown[0],
                allowed=sorted(known),
            )
        return cls(owner=owner, **{name: value for name, value in document.items() if value is not None})


def _names(rule: str, value: object) -> frozenset[str]:
    listed = list(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else None
    if listed is None or not all(isinstance(one, str) and 0 < len(one) <= _MAX_LENGTH for one in listed):
        raise ResidencyRulesError(f"{rule} must be a list of names, got {value!r}.", field=rule)
    if len(listed) > _MAX_NAMES:
        raise ResidencyRulesError(f"{rule} has {len(listed)} names; at most {_MAX_NAMES} are taken.", field=rule)
    if not listed and not rule.startswith("deny_"):
        raise ResidencyRulesError(
            f"{rule} is empty, which would allow nothing. Leave it out, or name what it allows (regions: 'here' for "
            "this machine alone).",
            field=rule,
        )
    return frozenset(listed)


def _any(name: str, patterns: frozenset[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _told(provider: str, region: str | None) -> str:
    if region is None:
        return "does not tell its region"
    codes = region_codes(provider, region)
    if len(codes) == 1:
        return f"is in {region!r}, which nobody here knows"
    country = sorted(codes - {region, f"{provider}:{region}", "eea"})
    return f"is in {region!r}" + (f" ({', '.join(country)})" if country else "")
