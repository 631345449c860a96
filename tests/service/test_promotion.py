"""The promotion gate at endpoints: who passes, what is refused, what an admin may let pass and how that is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from superpose.errors import ForbiddenError, PromotionError, RequestError
from superpose.service import AuditFilter, Dataset, ModelVersion, Principal, Release, Role, Service, Stage

from .conftest import CSV, SMALL_SPEC, train

EDITOR = Principal("key_e", "default", Role.EDITOR)
VIEWER = Principal("key_v", "default", Role.VIEWER)
PREDICTOR = Principal("key_p", "default", Role.PREDICTOR)
PRODUCTION = Release(Stage.PRODUCTION)
REASON = "Shown at the fair; nothing hangs on it."
ROW = {"age": 40.0, "dose": 1.0}

STATEMENTS = {
    "intended_use": "Exercises of the trial's statisticians.",
    "limits": "No data but the trial's.",
    "no_subgroups": "The trial's data name no groups.",
}


@pytest.fixture
def complete(service: Service, admin: Principal, model: ModelVersion) -> ModelVersion:
    """The trained model, with what people have to state."""
    return service.curation.edit_version(EDITOR, "outcome", model.version, statements=STATEMENTS)


def test_a_job_leaves_evidence_and_what_people_must_state_is_all_that_is_missing(
    service: Service, model: ModelVersion
) -> None:
    report = service.endpoints.gate.report(VIEWER, "outcome")
    assert report["missing"] == ["subgroups", "intended_use", "limits"]
    assert not report["ready"] and report["overrides"] == [] and report["notice"] is None
    evidence = model.evidence
    assert set(evidence["explanation"]["columns"]) == {"age", "dose"}
    assert evidence["explanation"]["largest_completeness_error"] < 1e-6
    energy = evidence["energy"]
    assert energy["cpu_s"] > 0 and energy["worker_s"] > 0
    assert energy["energy_wh"] == pytest.approx(energy["cpu_s"] * 12.0 / 3600)
    assert energy["cost_usd"] == 0.0


def test_production_refuses_what_is_incomplete_and_says_all_of_it(
    service: Service, admin: Principal, model: ModelVersion
) -> None:
    with pytest.raises(PromotionError) as caught:
        service.endpoints.create(EDITOR, "live", "outcome", release=PRODUCTION)
    error = caught.value
    assert error.code == "service.promotion"
    missing: Any = error.details["missing"]
    assert [one["name"] for one in missing] == ["subgroups", "intended_use", "limits"]
    assert all(one["how"] in str(error) for one in missing)
    assert service.endpoints.list(admin).items == ()
    made = service.endpoints.create(EDITOR, "trying", "outcome")
    assert (made.stage, made.override) == (Stage.DEVELOPMENT, None)


def test_a_complete_version_answers_in_production(service: Service, complete: ModelVersion) -> None:
    assert service.endpoints.gate.report(VIEWER, "outcome")["ready"]
    made = service.endpoints.create(EDITOR, "live", "outcome", release=Release("production"))
    assert (made.stage, made.override) == (Stage.PRODUCTION, None)
    assert made.to_json()["stage"] == "production"
    assert service.endpoints.get(PREDICTOR, "live") == made


def test_an_override_needs_an_admin_and_a_reason_and_is_written_down(
    service: Service, admin: Principal, model: ModelVersion
) -> None:
    with pytest.raises(ForbiddenError, match="role admin"):
        service.endpoints.create(EDITOR, "live", "outcome", release=Release("production", REASON))
    for reason in ("", "  because   ", "x" * 1_001):
        with pytest.raises(RequestError, match="10 to 1,000 characters"):
            service.endpoints.create(admin, "live", "outcome", release=Release("production", reason))
    unseen = ("\x07" * 12, "a" + "\u200b" * 20, "\u3164" * 12, "- " * 8, "Shown at the fair\x1b[2K", "\ud800" * 12)
    for reason in unseen:
        with pytest.raises(RequestError, match="a reason that can be read: words") as caught:
            service.endpoints.create(admin, "live", "outcome", release=Release("production", reason))
        assert caught.value.details["field"] == "override"
    with pytest.raises(RequestError, match="for development"):
        service.endpoints.create(admin, "live", "outcome", release=Release(override=REASON))
    made = service.endpoints.create(admin, "live", "outcome", release=Release("production", REASON))
    assert made.override is not None
    assert (made.override.reason, made.override.overridden_by) == (REASON, admin.key_id)
    assert made.override.missing == ("subgroups", "intended_use", "limits")
    (shown,) = service.endpoints.gate.report(VIEWER, "outcome")["overrides"]
    assert (shown["endpoint"], shown["reason"]) == ("live", REASON)
    (entry,) = service.audit.list(admin, wanted=AuditFilter(action="endpoint.gate_overridden")).items
    assert entry.actor == admin.key_id and entry.data["override"] == made.override.to_json()
    assert [event.kind for event in service.endpoints.rollouts.events(VIEWER, "live")] == ["created", "gate_overridden"]
    service.endpoints.delete(admin, "live")
    assert service.endpoints.gate.report(VIEWER, "outcome")["overrides"] == [shown]
    with pytest.raises(PromotionError):  # another endpoint of the name is not covered
        service.endpoints.create(EDITOR, "live", "outcome", release=PRODUCTION)


def test_a_reason_is_not_kept_where_nothing_is_missing(
    service: Service, admin: Principal, complete: ModelVersion
) -> None:
    made = service.endpoints.create(admin, "live", "outcome", release=Release("production", REASON))
    assert made.override is None
    assert service.endpoints.gate.report(VIEWER, "outcome")["overrides"] == []


@pytest.fixture
def second(service: Service, admin: Principal, dataset: Dataset, complete: ModelVersion) -> int:
    """Version 2, of which nobody has stated anything; version 1 is in production as ``live``."""
    train(service, admin, dataset, SMALL_SPEC)
    service.endpoints.create(EDITOR, "live", "outcome", complete.version, release=PRODUCTION)
    return service.models.get(admin, "outcome").latest


Way = Callable[[Service, Principal, int, Release], Any]
WAYS: dict[str, Way] = {
    "update": lambda s, who, n, release: s.endpoints.rollouts.update(who, "live", version=n, release=release),
    "canary": lambda s, who, n, release: s.endpoints.rollouts.start_canary(
        who, "live", percent=10.0, version=n, release=release
    ),
}


@pytest.mark.slow
def test_no_way_leads_an_incomplete_version_into_production_but_an_override(
    service: Service, admin: Principal, second: int
) -> None:
    live = service.endpoints.get(admin, "live")
    for way in WAYS.values():
        with pytest.raises(PromotionError):
            way(service, EDITOR, second, Release())
        with pytest.raises(ForbiddenError):
            way(service, EDITOR, second, Release(override=REASON))
        assert service.endpoints.get(admin, "live") == live
    WAYS["canary"](service, admin, second, Release(override=REASON))
    promoted = service.endpoints.rollouts.promote(EDITOR, "live")  # the override stands for this version here
    assert promoted.version == second and promoted.override is not None
    back = service.endpoints.rollouts.rollback(EDITOR, "live")
    assert (back.version, back.override) == (live.version, None)
    again = service.endpoints.rollouts.update(EDITOR, "live", version=second)
    assert again.override == promoted.override


@pytest.mark.slow
def test_stages_change_and_what_answers_by_then_is_held_against_production(
    service: Service, admin: Principal, second: int
) -> None:
    rollouts = service.endpoints.rollouts
    assert rollouts.update(admin, "live", release=Release("development")).stage is Stage.DEVELOPMENT
    rollouts.start_canary(EDITOR, "live", percent=10.0, version=second)
    with pytest.raises(PromotionError) as caught:  # because of the canary
        rollouts.update(EDITOR, "live", release=PRODUCTION)
    assert caught.value.details["version"] == second
    assert service.endpoints.get(admin, "live").stage is Stage.DEVELOPMENT
    rollouts.promote(EDITOR, "live")
    rollouts.update(EDITOR, "live", version=1, release=PRODUCTION)
    with pytest.raises(PromotionError):
        rollouts.rollback(EDITOR, "live")
    assert rollouts.rollback(admin, "live", release=Release(override=REASON)).override is not None
    with pytest.raises(RequestError, match="development or production"):
        rollouts.update(EDITOR, "live", release=Release("live"))


def test_only_admins_take_an_endpoint_out_of_production_and_it_is_written_down(
    service: Service, admin: Principal, complete: ModelVersion
) -> None:
    endpoints, rollouts = service.endpoints, service.endpoints.rollouts
    endpoints.create(EDITOR, "live", "outcome", release=PRODUCTION)
    live = endpoints.get(admin, "live")
    ways = (
        lambda who: rollouts.update(who, "live", release=Release("development")),
        lambda who: rollouts.update(
            who, "live", version=1, limits={"max_batch_rows": 9}, release=Release("development")
        ),
        lambda who: endpoints.delete(who, "live"),
    )
    for way in ways:
        with pytest.raises(ForbiddenError, match=r"'live' is for production.* needs the role admin, and key key_e"):
            way(EDITOR)
        assert endpoints.get(admin, "live") == live
    assert rollouts.update(EDITOR, "live", release=PRODUCTION) == live  # no other stage than it has
    assert rollouts.update(EDITOR, "live", limits={"max_batch_rows": 9}).stage is Stage.PRODUCTION
    left = AuditFilter(action="endpoint.left_production")
    assert service.audit.list(admin, wanted=left).items == ()
    assert rollouts.update(admin, "live", release=Release("development")).stage is Stage.DEVELOPMENT
    (entry,) = service.audit.list(admin, wanted=left).items
    assert (entry.actor, entry.data["name"], entry.data["stage"]) == (admin.key_id, "live", "production")
    assert [event.kind for event in rollouts.events(VIEWER, "live")][-2:] == ["left_production", "updated"]
    assert rollouts.update(EDITOR, "live", release=PRODUCTION).stage is Stage.PRODUCTION  # the gate alone lets it in
    endpoints.delete(admin, "live")
    assert [one.data["stage"] for one in service.audit.list(admin, wanted=left).items] == ["production"] * 2
    endpoints.create(EDITOR, "live", "outcome")
    endpoints.delete(EDITOR, "live")  # for development
    assert len(service.audit.list(admin, wanted=left).items) == 2


def test_statements_are_texts_kept_with_their_history(
    service: Service, admin: Principal, complete: ModelVersion
) -> None:
    assert complete.statements == STATEMENTS
    changed = service.curation.edit_version(EDITOR, "outcome", 1, statements={"limits": "  Only \n by day. "})
    assert changed.statements == {**STATEMENTS, "limits": "Only by day."}
    newest = service.aliases.history(admin, "outcome").items[0]
    assert newest.data["before"] == {"statements": STATEMENTS}
    for statements, said in (
        ({"purpose": "x"}, "There is no statement 'purpose'"),
        ({"limits": " "}, "not blank"),
        ({"limits": "\0\0"}, "not blank"),
        ({"limits": "\u3164\u200b"}, "not blank"),
        ({"limits": None}, "got NoneType"),
        ({"limits": "x" * 2_001}, "1 to 2,000 characters"),
    ):
        with pytest.raises(RequestError, match=said):
            service.curation.edit_version(EDITOR, "outcome", 1, statements=statements)
    with pytest.raises(ForbiddenError):
        service.curation.edit_version(VIEWER, "outcome", 1, statements=STATEMENTS)


@pytest.mark.slow
def test_a_column_with_one_group_is_no_fairness_slice_and_a_reason_can_be_stated(
    service: Service, admin: Principal, kernels: None
) -> None:
    rows = [line + (b",site" if i == 0 else b",A") for i, line in enumerate(CSV.splitlines())]
    dataset = service.datasets.add(admin, name="one", content=b"\n".join(rows), format="csv", target="outcome")
    card = {"intended_use": "Research on dosage.", "limits": "Adults."}
    evaluation = {**SMALL_SPEC["evaluation"], "subgroups": ["site"]}
    train(
        service,
        admin,
        dataset,
        {**SMALL_SPEC, "card": card, "evaluation": evaluation, "preprocessing": {"exclude": ["site"]}},
    )
    with pytest.raises(PromotionError, match=r"by site all \d+ test cases are in one group \(A\)\. Train it again"):
        service.endpoints.create(EDITOR, "live", "outcome", release=PRODUCTION)
    said = {"no_subgroups": "One clinic, which keeps no other facts."}
    service.curation.edit_version(EDITOR, "outcome", 1, statements=said)
    assert service.endpoints.create(EDITOR, "live", "outcome", release=PRODUCTION).stage is Stage.PRODUCTION


@pytest.mark.slow
def test_a_medical_model_says_so_wherever_it_shows_itself(service: Service, admin: Principal, dataset: Dataset) -> None:
    card = {"domain": "medical", "intended_use": "Research on dosage.", "limits": "Adults."}
    spec = {**SMALL_SPEC, "card": card, "evaluation": {**SMALL_SPEC["evaluation"], "subgroups": ["age"]}}
    train(service, admin, dataset, spec)
    (few,) = (one for one in service.endpoints.gate.report(VIEWER, "outcome")["requirements"] if not one["met"])
    assert "by age fewer than two groups have 10 test cases (up to " in few["how"]
    rows = CSV.splitlines()
    more = [
        b"%s.%d,%s" % (age, part, rest) for age, rest in (row.split(b",", 1) for row in rows[1:]) for part in (2, 5)
    ]
    large = service.datasets.add(
        admin, name="large", content=b"\n".join([*rows, *more]), format="csv", target="outcome"
    )
    train(service, admin, large, spec)
    sentence = "Not for clinical use."
    report = service.endpoints.gate.report(VIEWER, "outcome")
    assert report["ready"] and report["notice"] == sentence
    assert report["statements"] == {"intended_use": "Research on dosage.", "limits": "Adults."}
    made = service.endpoints.create(EDITOR, "live", "outcome", release=PRODUCTION)
    assert made.notice == made.to_json()["notice"] == sentence
    answer = asyncio.run(service.endpoints.predict(PREDICTOR, "live", [ROW]))
    assert answer.to_json()["notice"] == sentence
    assert service.endpoints.explain(PREDICTOR, "live", [ROW])["notice"] == sentence
    with pytest.raises(RequestError, match="was measured in subgroups, by age; no_subgroups"):
        service.curation.edit_version(EDITOR, "outcome", 2, statements={"no_subgroups": "None known."})
