"""External validations at a version: kept once, never changed, withdrawn with a reason, held against the model."""

from __future__ import annotations

from typing import Any

import pytest

from superpose.errors import ConflictError, ForbiddenError, NotFoundError, RequestError
from superpose.explain import model_card
from superpose.service import AuditFilter, ModelVersion, Principal, Role, Service
from superpose.service.catalogue.validations import MOST_VALIDATIONS

EDITOR = Principal("key_e", "default", Role.EDITOR)
VIEWER = Principal("key_v", "default", Role.VIEWER)


@pytest.fixture
def record(model: ModelVersion) -> dict[str, Any]:
    """What somebody found on 120 rows of their own."""
    figure = {"value": 0.8, "low": 0.7, "high": 0.87}
    return {
        **{"digest": model.digest, "target": "outcome", "n_rows": 120, "n_without_truth": 3, "n_groups": None},
        **{"confidence": 0.95, "is_own_data": False, "metrics": {"accuracy": figure, "auc": {**figure, "value": 0.85}}},
        **{"classes": {"ill": 50, "well": 70}, "positive_class": "ill", "positive_share": figure},
        "recalibration": {
            **{"n_positive": 50, "n_expected": 30.0, "intercept": {"value": 0.9, "low": 0.5, "high": 1.3}},
            "slope": None,
        },
        "calibration": {"ece": 0.1, "conformal": None, "novelty": None},
        **{"subgroups": [], "drift": None, "unknown_categories": {}},
    }


def test_a_record_is_kept_once_and_never_changed(
    service: Service, model: ModelVersion, record: dict[str, Any], admin: Principal
) -> None:
    kept = service.validations.record(EDITOR, "outcome", None, "north-2025", record)
    assert (kept["site"], kept["recorded_by"]) == ("north-2025", "key_e") and record.items() <= kept.items()
    assert (
        service.validations.record(admin, "outcome", 1, "north-2025", record) == kept
    )  # as of a client that asks twice
    found = service.models.version(VIEWER, "outcome")
    assert found.to_json()["validations"] == [kept] and "validations" not in found.summary()
    other = {**record, "metrics": {**record["metrics"], "accuracy": {"value": 0.99, "low": 0.9, "high": 1.0}}}
    with pytest.raises(ConflictError, match="another record of 'north-2025'"):
        service.validations.record(EDITOR, "outcome", 1, "north-2025", other)
    with pytest.raises(ForbiddenError):
        service.validations.record(VIEWER, "outcome", 1, "south", record)
    for place in range(MOST_VALIDATIONS - 1):
        service.validations.record(EDITOR, "outcome", 1, f"site-{place}", record)
    with pytest.raises(ConflictError, match="the most that are kept"):
        service.validations.record(EDITOR, "outcome", 1, "south", record)


def test_what_is_withdrawn_stays_to_be_seen(service: Service, record: dict[str, Any], admin: Principal) -> None:
    service.validations.record(EDITOR, "outcome", 1, "north", record)
    with pytest.raises(RequestError, match="say why the figures do not count"):
        service.validations.withdraw(EDITOR, "outcome", 1, "north", " \u200b ")
    with pytest.raises(NotFoundError, match="no record of 'south'"):
        service.validations.withdraw(EDITOR, "outcome", 1, "south", "No such rows.")
    with pytest.raises(ForbiddenError):
        service.validations.withdraw(VIEWER, "outcome", 1, "north", "Not mine.")
    gone = service.validations.withdraw(EDITOR, "outcome", 1, "north", "Labels of the wrong\nyear.")
    assert gone["reason"] == "Labels of the wrong year." and gone["metrics"] == record["metrics"]
    with pytest.raises(ConflictError, match="was withdrawn at"):
        service.validations.withdraw(EDITOR, "outcome", 1, "north", "Again.")
    for again in (record, {**record, "n_without_truth": 4}):  # its name is not given again
        with pytest.raises(ConflictError, match="a withdrawn record of 'north'"):
            service.validations.record(EDITOR, "outcome", 1, "north", again)
    (entry,) = service.audit.list(admin, wanted=AuditFilter(action="model.validation_withdrawn")).items
    assert entry.data["reason"] == "Labels of the wrong year."
    kinds = [event.kind for event in service.aliases.history(VIEWER, "outcome").items]
    assert kinds[:2] == ["validation_withdrawn", "validation_recorded"]


def test_a_record_of_another_model_or_that_cannot_be_is_refused(
    service: Service, model: ModelVersion, record: dict[str, Any]
) -> None:
    for changed, field in (
        ({"digest": "0" * 64}, "digest"),
        ({"classes": {"ill": 50, "well": 71}}, "classes"),
        ({"classes": {"well": 70, "ill": 50}}, "classes"),
        ({"classes": None}, "classes"),
        ({"positive_class": "dead"}, "positive_class"),
        ({"calibration": None}, "calibration"),
        ({"positive_share": None}, "positive_share"),
        ({"metrics": {"auc": record["metrics"]["auc"]}}, "metrics.accuracy"),
        ({"metrics": {**record["metrics"], "accuracy": dict.fromkeys(("value", "low", "high"))}}, "metrics.accuracy"),
        ({"metrics": {"accuracy": record["metrics"]["accuracy"]}}, "metrics.auc"),
        ({"n_groups": 121}, "n_groups"),
        (
            {"metrics": {**record["metrics"], "accuracy": {"value": 80.0, "low": 70.0, "high": 87.0}}},
            "metrics.accuracy",
        ),
        ({"recalibration": {**record["recalibration"], "n_positive": 51}}, "recalibration.n_positive"),
        ({"metrics": {"rmse": {"value": 1.0, "low": None, "high": None}}}, "metrics.rmse"),
    ):
        with pytest.raises(RequestError) as caught:
            service.validations.record(EDITOR, "outcome", 1, "north", {**record, **changed})
        assert caught.value.details["field"] == field
    for site in ("", "north 2025", "a/b", "x" * 64):
        with pytest.raises(RequestError, match="site must be 1 to 63"):
            service.validations.record(EDITOR, "outcome", 1, site, record)
    with pytest.raises(NotFoundError):
        service.validations.record(EDITOR, "outcome", 7, "north", record)
    assert service.models.version(VIEWER, "outcome").validations == []


def test_card_and_report_tell_what_was_found(service: Service, record: dict[str, Any]) -> None:
    odd = {"sensitivity": {"value": None, "low": None, "high": None}, **record["metrics"]}
    group = {"column": "<sex>", "group": "|m|", "n_rows": 60, "metrics": {"accuracy": record["metrics"]["accuracy"]}}
    service.validations.record(EDITOR, "outcome", 1, "north", {**record, "metrics": odd, "subgroups": [group]})
    service.validations.record(EDITOR, "outcome", 1, "south", {**record, "recalibration": None})
    service.validations.withdraw(EDITOR, "outcome", 1, "south", "The **wrong** year.")
    found = service.models.version(VIEWER, "outcome")
    card = model_card(found.manifest, validations=found.validations)
    for said in (
        "## External validation",
        "| rows of | rows | accuracy | AUC | sensitivity | calibration intercept | calibration slope |",
        "| north | 120 | 0.800 \\(0.700 to 0.870\\) | 0.850 \\(0.700 to 0.870\\) | – | 0.90 \\(0.50 to 1.30\\) | – |",
        "Probabilities of ill are too low on the whole: 50 rows are, 30.0 were expected",
        "3 rows more have no outcome and were left out.",
        "north, by \\<sex\\>: \\|m\\| \\(60 rows\\): accuracy 0.800",
        "by key key\\_e: withdrawn ",
        "The \\*\\*wrong\\*\\* year.",
    ):
        assert said in card, said
    assert "| south |" not in card and "External validation" not in model_card(found.manifest)
    made = service.reports.of_version(VIEWER, "outcome", 1, "html")
    page = b"".join(made.file.chunks(0, made.file.n_bytes)).decode()
    assert 'id="external"' in page and "by &lt;sex&gt;: |m| (60 rows)" in page and "The **wrong** year." in page
