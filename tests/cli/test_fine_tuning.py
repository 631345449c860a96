"""`superpose train --from` against a real service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_a_registered_model_is_carried_on(at_home: Callable[..., Any], trained: str, spec_file: Any) -> None:
    done = at_home(
        "train", spec_file, "--from", f"{trained}:1", "--freeze", "circuit", "--learning-rates", "head=0.05",
        "--dataset", trained, "--model", "carried", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    told = done.json["model_version"]["evaluation"]["fine_tuning"]
    assert (told["parent"], told["freeze"], told["learning_rates"]) == (f"{trained}:1", ["circuit"], {"head": 0.05})
    assert "same model trained from scratch" in at_home("models", "card", "carried").out
    assert "carried version 1 (" in at_home("models", "lineage", trained).out


def test_what_cannot_be_carried_on_is_refused(at_home: Callable[..., Any], trained: str, spec_file: Any) -> None:
    refused = at_home("train", "--from", "nobody:1", "--dataset", trained, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "service.not_found")
    wrong = at_home("train", "--from", trained, "--freeze", "wires", "--dataset", trained, "--json")
    assert wrong.json["error"]["code"] == "spec.invalid"
    rates = at_home("train", "--from", trained, "--learning-rates", "head", "--dataset", trained, "--json")
    assert rates.json["error"]["code"] == "spec.invalid"
    assert at_home("train", "--dataset", trained).code == 2
    template = at_home("train", "pneumonia", "--from", f"{trained}:1", "--dataset", "scans")
    assert template.code == 2
    assert f"superpose train --from {trained}:1 --dataset scans" in " ".join(template.err.replace("│", "").split())
    assert "registered pictures" not in at_home("train", "demand", "--from", trained).err
    assert at_home("train", spec_file, "--freeze", "circuit", "--dataset", trained).code == 1
