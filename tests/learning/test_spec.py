"""Training specs: complete defaults, and refusals that name the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from superpose.errors import SpecError
from superpose.learning.card import NOT_FOR_CLINICAL_USE, notice_of
from superpose.learning.spec import EvaluationSpec, ModelSpec, TrainingSpec


def nested(path: str, value: object) -> dict[str, Any]:
    """{"a": {"b": value}} for "a.b"."""
    *outer, last = path.split(".")
    found: dict[str, Any] = {last: value}
    for name in reversed(outer):
        found = {name: found}
    return found


def paths(data: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    """All leaves of a spec with their dotted paths."""
    found: list[tuple[str, object]] = []
    for name, value in data.items():
        path = f"{prefix}{name}"
        found += paths(value, path + ".") if isinstance(value, dict) else [(path, value)]
    return found


def test_nothing_is_a_good_spec() -> None:
    assert TrainingSpec.from_dict({}) == TrainingSpec()
    assert TrainingSpec.from_yaml("") == TrainingSpec.from_yaml("# nothing\n") == TrainingSpec.from_json("{}")


def test_a_spec_goes_through_json_and_yaml_unchanged() -> None:
    spec = TrainingSpec.from_dict(
        {
            "model": {
                "n_qubits": 6,
                "encoding": {"name": "iqp"},
                "ansatz": {"name": "hardware_efficient", "layers": 3},
            },
            "training": {"learning_rate": 0.5, "class_weights": "balanced"},
            "evaluation": {"controls": ["frozen"], "positive_class": "ill"},
            "limits": {"memory_mb": 100},
        }
    )
    assert TrainingSpec.from_dict(spec.to_dict()) == spec
    assert TrainingSpec.from_yaml(yaml.safe_dump(spec.to_dict())) == spec
    again = TrainingSpec.from_json(json.dumps(spec.to_dict()))
    assert again == spec
    assert again.digest == spec.digest
    assert spec.digest != TrainingSpec().digest


def test_every_field_refuses_a_value_of_the_wrong_type_by_its_dotted_path() -> None:
    leaves = paths(TrainingSpec().to_dict())
    assert len(leaves) > 20
    for path, _ in leaves:
        with pytest.raises(SpecError) as caught:
            TrainingSpec.from_dict(nested(path, {"no": "such value"}))
        assert caught.value.field == path
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model.n_qubits", 0, "a whole number from 1 to"),
        ("model.n_qubits", 2.5, "got 2.5"),
        ("model.n_qubits", True, "got True"),
        ("model.encoding.name", "angel", "did you mean 'angle'?"),
        ("model.encoding", "angle", "must be a mapping"),
        ("model.ansatz.layers", "3", "got '3'"),
        ("training.learning_rate", 0, "above 0.0"),
        ("training.learning_rate", float("nan"), "got nan"),
        ("training.class_weights", "even", "none, balanced"),
        ("evaluation.n_splits", 1, "from 2 to"),
        ("evaluation.controls", ["classical_twin", "classical_twin"], "at most once"),
        ("evaluation.controls", "frozen", "must be a list"),
        ("evaluation.controls", ["frozn"], "did you mean 'frozen'?"),
        ("evaluation.primary_metric", "f1", "balanced_accuracy"),
        ("evaluation.confidence", 95, "from 0.5 to"),
    ],
)
def test_a_refusal_says_what_was_got_and_what_is_allowed(path: str, value: object, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        TrainingSpec.from_dict(nested(path, value))
    assert caught.value.field == path
    assert said in str(caught.value)


def test_an_unknown_field_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(SpecError, match=r"training\.learning_rat: .*did you mean 'learning_rate'\?") as caught:
        TrainingSpec.from_dict({"training": {"learning_rat": 0.1}})
    assert caught.value.code == "spec.invalid"
    assert "epochs" in caught.value.details["allowed"]  # type: ignore[operator]
    with pytest.raises(SpecError, match=r"^modle: "):
        TrainingSpec.from_dict({"modle": {}})


def test_values_made_in_python_are_checked_too() -> None:
    with pytest.raises(SpecError, match=r"model\.n_qubits"):
        ModelSpec(n_qubits=-1)
    with pytest.raises(SpecError, match="leave less than a tenth"):
        EvaluationSpec(test_fraction=0.6, validation_fraction=0.35)


def test_yaml_reads_exponents_without_a_point_as_numbers() -> None:
    assert TrainingSpec.from_yaml("training: {learning_rate: 1e-3}").training.learning_rate == 1e-3
    with pytest.raises(SpecError, match=r"training\.learning_rate"):
        TrainingSpec.from_yaml("training: {learning_rate: '0.1'}")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a: [1, 2", "is not YAML at line"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("a: &x [1, 2]\nb: [*x, *x]", "anchors and aliases"),
        ("- 1", "must be a mapping"),
        ("x" * 300_000, "characters"),
    ],
)
def test_yaml_that_is_broken_or_dangerous_is_refused(source: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        TrainingSpec.from_yaml(source)


def test_json_that_is_broken_is_refused() -> None:
    with pytest.raises(SpecError, match="is not JSON"):
        TrainingSpec.from_json(b"{")


def test_gradient_method_is_a_field_that_older_specs_do_without() -> None:
    assert TrainingSpec.from_dict({"training": {"epochs": 3}}).training.gradient_method == "adjoint"
    assert TrainingSpec.from_yaml("training: {gradient_method: spsa}").training.gradient_method == "spsa"
    with pytest.raises(SpecError, match=r"gradient_method.*did you mean 'parameter-shift'"):
        TrainingSpec.from_dict({"training": {"gradient_method": "parameter_shift"}})


def test_a_card_says_what_no_measurement_can_tell_and_leaves_other_specs_as_they_were() -> None:
    assert "card" not in TrainingSpec().to_dict()
    spec = TrainingSpec.from_dict(
        {"card": {"domain": "medical", "intended_use": "Triage of scans.", "limits": "Adults."}}
    )
    assert TrainingSpec.from_dict(spec.to_dict()) == spec
    assert spec.card.domain == "medical"
    assert notice_of({"provenance": {"spec": spec.to_dict()}}) == NOT_FOR_CLINICAL_USE
    assert notice_of({"provenance": {"spec": TrainingSpec().to_dict()}}) is None
    assert notice_of({}) is None


@pytest.mark.parametrize(
    ("card", "field", "said"),
    [
        ({"domain": "medicine"}, "card.domain", "did you mean 'medical'"),
        ({"intended_use": "  "}, "card.intended_use", "is blank"),
        ({"limits": "\u3164\u200b\u2060"}, "card.limits", "is blank"),
        ({"limits": "x" * 2_001}, "card.limits", "1 to 2000 characters"),
        ({"no_subgroups": 3}, "card.no_subgroups", "must be a text"),
    ],
)
def test_statements_of_a_card_are_texts_that_say_something(card: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        TrainingSpec.from_dict({"card": card})
    assert caught.value.field == field


def test_subgroups_are_named_or_there_is_a_reason_why_not() -> None:
    with pytest.raises(SpecError, match=r"evaluation.subgroups names site; leave one of them out") as caught:
        TrainingSpec.from_dict({"card": {"no_subgroups": "None known."}, "evaluation": {"subgroups": ["site"]}})
    assert caught.value.field == "card.no_subgroups"
