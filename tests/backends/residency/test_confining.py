"""Backends held to residency rules, whatever they are wrapped in, and while the rules change."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import pytest

import superpose
from superpose import Circuit
from superpose.backends import LocalBackend, providers
from superpose.backends.fleet import Fleet, FleetRules
from superpose.backends.mitigation import (
    CliffordDataRegression,
    CliffordNormalisation,
    PauliTwirling,
    ReadoutMitigation,
    ZeroNoiseExtrapolation,
)
from superpose.backends.providers import PROVIDER_GROUP, find_backend, list_backends, provider
from superpose.backends.residency import ResidencyRules, confine, leaves, refusals, require
from superpose.backends.selection import AutoBackend, Constraints, Selection, Soonest, replay
from superpose.circuits import (
    Backend,
    Calibration,
    Capabilities,
    LocatedBackend,
    Program,
    ProgramResult,
    WrappingBackend,
)
from superpose.errors import NoBackendFitsError, ProviderError, ResidencyError

BELL = Program(Circuit(2).h(0).cx(0, 1), shots=100, seed=1)
EU = ResidencyRules(regions=frozenset({"eu"}), owner="project 'cardiology'")


class Cloud(LocalBackend):
    """A processor somewhere, which counts what it gets."""

    def __init__(self, name: str, region: str | None, *, fails: bool = False) -> None:
        self._name, self._region, self.fails = name, region, fails
        self.n_runs = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def region(self) -> str | None:  # type: ignore[override]
        return self._region

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), simulator=False, exact=False, state_vectors=False)

    def run(self, program: Program) -> ProgramResult:
        self.n_runs += 1
        if self.fails:
            raise ProviderError("It is down.", provider=self._name, provider_job_id=None, retryable=False)
        return super().run(program)


def test_a_wrapper_is_where_its_backend_is() -> None:
    boston = Cloud("house:boston", "us")
    for wrapped in (
        ZeroNoiseExtrapolation(boston),
        PauliTwirling(boston, n_variants=2),
        CliffordDataRegression(boston, n_training=2),
        CliffordNormalisation(boston),
        ReadoutMitigation(boston),
        ZeroNoiseExtrapolation(PauliTwirling(boston, n_variants=2)),
    ):
        assert [one.name for one in leaves(wrapped)] == ["house:boston"]
        with pytest.raises(ResidencyError, match="house:boston is in 'us', and rule regions allows eu") as refused:
            require(wrapped, EU)
        assert refused.value.details["refusals"] == [one.to_json() for one in refusals(boston, EU)]
        assert "project 'cardiology'" in str(refused.value) and refused.value.details["backend"] == wrapped.name
        require(wrapped, None)
        require(wrapped, ResidencyRules(regions=frozenset({"us"})))


def test_every_provider_that_makes_wrappers_shows_what_they_wrap() -> None:
    """Whoever adds one without `wrapped` hears of it here: its backends would pass as places of their own."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    looked = 0
    for name, value in project["project"]["entry-points"][PROVIDER_GROUP].items():
        if ".clouds." in value or name == "emulator":
            continue
        module, _, attribute = value.partition(":")
        made = getattr(import_module(module), attribute)(find=Named).backend("a+b" if name == "fleet" else "a")
        assert isinstance(made, WrappingBackend), name
        assert [one.name for one in leaves(made)] == (["a", "b"] if name == "fleet" else ["a"])
        looked += 1
    assert looked >= 4


class Named(LocalBackend):
    """Runs circuits as they are and tells a calibration, as some wrappers ask for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def calibration(self) -> Calibration:
        return Calibration(backend=self._name, taken_at=datetime(2026, 1, 1, tzinfo=UTC), qubits=())

    def transpiled(self, circuit: Circuit) -> Circuit:
        return circuit

    def verbatim(self) -> Backend:
        return self

    @property
    def name(self) -> str:
        return self._name


def test_members_outside_get_nothing_failover_included() -> None:
    berlin, boston = Cloud("house:berlin", "de", fails=True), Cloud("house:boston", "us")
    fleet = confine(Fleet([berlin, boston]), lambda: EU)
    with pytest.raises(ProviderError, match="It is down"):
        fleet.run(BELL)
    assert (berlin.n_runs, boston.n_runs) == (1, 0)
    berlin.fails = False
    assert fleet.run(BELL).provenance["fleet"]["ran_on"] == "house:berlin" and boston.n_runs == 0
    with pytest.raises(ResidencyError, match="house:boston"):
        confine(Fleet([berlin, boston], FleetRules(redundancy=2)), lambda: EU)
    with pytest.raises(ResidencyError, match="house:attic does not tell its region"):
        confine(Fleet([Cloud("house:attic", None), boston]), lambda: EU)


def test_a_fleet_within_a_wrapper_obeys_too() -> None:
    berlin, boston = Cloud("house:berlin", "de", fails=True), Cloud("house:boston", "us")
    mitigated = confine(PauliTwirling(Fleet([boston, berlin]), n_variants=2), lambda: EU)
    asked = replace(BELL, observables=(superpose.Observable("ZZ"),))
    with pytest.raises(ProviderError, match="It is down"):
        mitigated.run(asked)
    assert boston.n_runs == 0


def test_rules_that_change_count_for_what_is_not_handed_over_yet() -> None:
    berlin, boston = Cloud("house:berlin", "de"), Cloud("house:boston", "us")
    rules: list[ResidencyRules | None] = [None]
    fleet = confine(Fleet([boston, berlin]), lambda: rules[0])
    assert isinstance(fleet, Fleet)
    assert fleet.run(BELL).provenance["fleet"]["ran_on"] == "house:boston"
    rules[0] = EU
    for _ in range(3):
        assert fleet.run(BELL).provenance["fleet"]["ran_on"] == "house:berlin"
    assert boston.n_runs == 1
    rules[0] = ResidencyRules(deny_backends=frozenset({"house:*"}), owner="project 'x'")
    with pytest.raises(ResidencyError, match="house:berlin is one of them, and rule deny_backends denies house:"):
        fleet.submit(BELL, "t")


def test_a_leg_written_down_before_the_rules_changed_is_not_handed_over() -> None:
    """As after a crash between writing a leg down and handing it over."""
    boston, berlin = Cloud("house:boston", "us"), Cloud("house:berlin", "de")
    rules: list[ResidencyRules | None] = [None]
    fleet = Fleet([boston, berlin])
    fleet.obey(lambda: rules[0])
    changed = fleet._journal.change  # what a crash leaves is not reached otherwise

    def change(key: str, how: object) -> object:
        run = changed(key, how)  # type: ignore[arg-type]
        if run.get("legs"):
            rules[0] = EU
        return run

    fleet._journal.change = change  # type: ignore[method-assign, assignment]
    result = fleet.run(BELL)
    assert result.provenance["fleet"]["ran_on"] == "house:berlin" and boston.n_runs == 0
    assert "rule regions allows eu" in result.provenance["fleet"]["failed"]["house:boston"]


def test_auto_chooses_within_the_rules_and_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    berlin, boston = Cloud("berlin", "de"), Cloud("boston", "us")
    there = {"local": LocalBackend, "berlin": lambda: berlin, "boston": lambda: boston}
    monkeypatch.setattr(providers, "BACKENDS", MappingProxyType(there))
    processors = Constraints(kinds=frozenset({"qpu"}))
    among = ["berlin", "boston", "local"]
    asked = Selection(objective=Soonest(), constraints=processors, among=among)
    rules: list[ResidencyRules | None] = [None]
    auto = confine(AutoBackend(asked), lambda: rules[0])
    assert isinstance(auto, AutoBackend)
    with pytest.raises(NoBackendFitsError):  # nobody knows the wait of either
        auto.decide(BELL)
    any_kind = replace(asked, constraints=Constraints(exclude=frozenset({"berlin"})))
    auto = confine(AutoBackend(any_kind), lambda: rules[0])
    assert auto.run(BELL).provenance["selection"]["chosen"] == "local"
    rules[0] = EU
    decision = auto.run(BELL).provenance["selection"]
    reasons = {one["name"]: one["reasons"] for one in decision["verdicts"]}
    assert reasons["boston"] == ["Residency of project 'cardiology': boston is in 'us', and rule regions allows eu."]
    assert replay(decision).constraints.residency == EU and decision["constraints"]["residency"]["owner"]
    stricter = Selection(constraints=Constraints(residency=EU), among=["boston"])
    with pytest.raises(NoBackendFitsError, match="rule regions allows eu"):
        superpose.run(BELL, backend=stricter)
    assert boston.n_runs == 0


def test_a_list_that_says_another_region_than_its_backend_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    class Moving(Cloud):
        """In Germany while it is looked at, elsewhere when it is to run."""

        n_told = 0

        @property
        def region(self) -> str | None:  # type: ignore[override]
            self.n_told += 1
            return "de" if self.n_told <= 3 else "us"  # of the list: two looks of isinstance, one at the value

        def capabilities(self) -> Capabilities:
            return replace(super().capabilities(), simulator=True)

    moving = Moving("moving", "de")
    monkeypatch.setattr(providers, "BACKENDS", MappingProxyType({"moving": lambda: moving}))
    auto = confine(AutoBackend(Selection(objective=Soonest(), among=["moving"])), lambda: EU)
    with pytest.raises(ResidencyError, match="moving is in 'us'"):
        auto.run(BELL)
    assert moving.n_runs == 0


def test_regions_of_a_constraint_are_countries_and_areas_too(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {name: (lambda name=name, region=region: Cloud(name, region)) for name, region in
             (("garnet", "eu-north-1"), ("fez", "us-east"))}  # fmt: skip
    monkeypatch.setattr(providers, "BACKENDS", MappingProxyType({**there, "local": LocalBackend}))
    limits = Constraints(regions=frozenset({"eu"}), kinds=frozenset({"qpu"}))
    decision = Selection(constraints=limits, among=list(there)).decide(BELL)
    told = {one.name: " ".join(one.reasons) for one in decision.verdicts}
    assert "is in region 'us-east'; asked is eu" in told["fez"] and "region" not in told["garnet"]


def test_backends_of_this_machine_say_so() -> None:
    lines = {info.name: info for info in list_backends(["local"])}
    assert lines["local"].region == "here"
    for name, package in (("aer", "qiskit_aer"), ("pennylane:default.qubit", "pennylane")):
        pytest.importorskip(package, reason=f"{name} needs it")
        backend: Backend = find_backend(name)
        assert isinstance(backend, LocatedBackend) and backend.region == "here"
        assert refusals(backend, ResidencyRules(regions=frozenset({"here"}))) == ()
    (line,) = [info for info in provider("pennylane").list() if info.name == "pennylane:default.qubit"]
    assert line.region == "here"
