"""The registry's commands against a real service; what they show is what client and API give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from superpose import Client

from .conftest import SPEC


@pytest.fixture(scope="session")
def versions(served: Any, trained: str) -> str:
    """A model with two versions of one spec, on a name of its own."""
    with Client(served.url, key_file=served.key_file) as client:
        for _ in range(2):
            job = client.jobs.train(dataset=trained, model="registered", spec=yaml.safe_load(SPEC))
            assert client.jobs.wait(job.id, timeout_s=240).succeeded
    return "registered"


def test_aliases_notes_search_and_history(at_home: Callable[..., Any], versions: str) -> None:
    assert at_home("models", "alias", versions, "champion", "--version", "1").out == (
        f"champion of {versions} is version 1\n"
    )
    refused = at_home("models", "alias", versions, "champion", "--version", "2", "--expected", "2", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "service.conflict")
    shown = at_home("models", "show", versions, "--version", "champion", "--json").json
    assert (shown["version"], shown["aliases"]) == (1, ["champion"])
    deployed = at_home("deploy", versions, "--version", "champion", "--name", "by-alias")
    assert f"{versions} version 1 (champion) answers at" in deployed.out
    at_home("models", "alias", versions, "champion", "--version", "2")
    assert at_home("endpoints", "show", "by-alias", "--json").json["version"] == 1

    at_home("models", "annotate", versions, "--note", "For the greenhouse.", "--tag", "site=north", "--tag", "who=kim")
    edited = at_home("models", "annotate", versions, "--tag", "who=", "--json").json
    assert (edited["note"], edited["tags"]) == ("For the greenhouse.", {"site": "north"})
    wrong = at_home("models", "annotate", versions, "--tag", "site", "--json").json
    assert wrong["error"]["code"] == "service.request"
    nothing = at_home("models", "annotate", versions, "--version", "1")
    assert (nothing.code, "say what to change: --note" in nothing.err) == (2, True)
    found = at_home("models", "list", "accuracy>0 tag:site=north greenhouse", "--json").json
    assert [(model["name"], 2 in model["matched"]) for model in found] == [(versions, True)]
    assert "champion=2" in at_home("models", "list", "greenhouse").out
    assert at_home("models", "list", "accuracy>2", "--json").json == []
    assert "allowed are accuracy" in at_home("models", "list", "velocity>2").err

    history = at_home("models", "history", versions, "--json").json
    assert [event["kind"] for event in history][:4] == ["edited", "edited", "alias_moved", "alias_moved"]
    assert "champion: 1 -> 2" in at_home("models", "history", versions).out


def test_lineage_is_drawn(at_home: Callable[..., Any], trained: str, versions: str) -> None:
    at_home("models", "alias", versions, "drawn", "--version", "1")
    graph = at_home("models", "lineage", versions, "--json").json
    dataset = next(node for node in graph["nodes"] if node["kind"] == "dataset")
    tree = at_home("models", "lineage", versions).out.splitlines()
    assert tree[0] == f"data set {dataset['label']} ({dataset['digest'][:12]})"
    assert any(line.endswith("alias drawn") for line in tree)
    assert any(f"└── {versions} version 1 (" in line for line in tree)
    drawing = at_home("models", "lineage", versions, "--format", "mermaid").out.splitlines()
    assert drawing[0] == "flowchart LR"
    assert len(drawing) == 1 + len(graph["nodes"]) + len(graph["edges"])
    assert at_home("datasets", "lineage", trained, "--json").json["nodes"][0]["digest"] == dataset["digest"]
    assert at_home("models", "lineage", versions, "--format", "picture").code == 2
    at_home("models", "unalias", versions, "drawn")


def test_differences_are_shown(at_home: Callable[..., Any], versions: str) -> None:
    found = at_home("models", "diff", versions, "1", "2", "--json").json
    assert set(found) >= {"spec", "data", "metrics", "circuit", "weights", "environment"}
    shown = at_home("models", "diff", versions, "1", "2").out
    for words in ("data: the same content", "accuracy", "paired", "n_qubits", "norm of weights", "environment"):
        assert words in shown


def test_a_version_in_use_is_not_removed(at_home: Callable[..., Any], versions: str) -> None:
    at_home("models", "alias", versions, "kept", "--version", "1")
    refused = at_home("models", "remove", versions, "--version", "1", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "service.version_in_use")
    assert {"kind": "alias", "name": "kept"} in refused.json["error"]["details"]["used_by"]
    assert at_home("models", "unalias", versions, "kept", "--json").json == {"model": versions, "removed": "kept"}


def test_files_that_tell_little_are_shown_as_such(at_home: Callable[..., Any], tmp_path: Path) -> None:
    from superpose.learning.families import IqpKernelClassifier, MetricLearnerClassifier

    rows, labels = np.random.default_rng(0).normal(size=(24, 2)), np.arange(24) % 2
    for name, family in (("kernel", IqpKernelClassifier), ("metric", MetricLearnerClassifier)):
        family(random_state=0).fit(rows, labels).save(tmp_path / f"{name}.superpose")
        assert at_home("models", "import", tmp_path / f"{name}.superpose", "--name", f"bare-{name}").code == 0

    shown = at_home("models", "show", "bare-kernel").out
    assert "Nothing is known about how well this model does" in shown
    assert "Test rows" not in shown

    said = at_home("models", "diff", "bare-kernel", "1", "1", "--other", "bare-metric").out
    assert "family.name" in said
    assert ("iqp_kernel" in said, "metric_learner" in said, "spec: no difference" in said) == (True, True, False)
    assert "data: the files do not tell whether they are the same" in said
    assert "metric: the files do not tell" in said
    assert "environment: the files do not tell" in said
    found = at_home("models", "diff", "bare-kernel", "1", "1", "--json").json
    assert (found["spec"], found["data"]["same"]) == ([], None)
    assert found["told"] == {"spec": True, "environment": False}

    rowless = at_home("models", "drift", "bare-kernel").err
    assert "superpose models gate bare-kernel --version 1" in rowless
    (tmp_path / "rows.csv").write_text("x0,x1\n1,2\n")
    drifted = at_home("models", "drift", "bare-kernel", tmp_path / "rows.csv").err
    assert "no job trains families" in drifted.lower()
    assert ("Train it again" in drifted, "override" in drifted) == (False, False)
    unlike = at_home("predict", tmp_path / "kernel.superpose", tmp_path / "rows.csv", "--novelty").err
    assert "of a kind that keeps none, such as families and HybridRegressor" in unlike


def test_a_data_set_that_lacks_columns_says_how_many(at_home: Callable[..., Any], trained: str, tmp_path: Path) -> None:
    from superpose.learning import HybridRegressor
    from superpose.learning.model_file import ModelFacts

    rows = np.random.default_rng(0).normal(size=(24, 7))
    model = HybridRegressor(n_qubits=2, layers=1, epochs=1, random_state=0).fit(rows, rows[:, 0])
    for name, provenance in (("seven", {}), ("shops", {"template": "demand"})):
        model.save(tmp_path / name, ModelFacts(provenance=provenance))
        at_home("models", "import", tmp_path / name, "--name", name)
    lacking = at_home("predictions", "of-dataset", "seven", trained, tmp_path / "out.csv").err
    assert "lacks 'x0', 'x1', 'x2', 'x3', 'x4' and 2 more, which the model needs." in lacking
    assert "templates.demand.features" not in lacking
    assert "templates.demand.features" in at_home("predictions", "of-dataset", "shops", trained, tmp_path / "o.csv").err
