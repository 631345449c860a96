"""`superpose report`, of jobs, models, files and runs, against a real service."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superpose import Client
from superpose.errors import ApiError, RequestError


def test_a_model_and_its_job_have_the_same_report(
    at_home: Callable[..., Any], served: Any, trained: str, tmp_path: Path
) -> None:
    said = at_home("report", trained, "--version", "1", "--out", str(tmp_path / "model.html"), "--json")
    assert said.code == 0, said.err
    content = (tmp_path / "model.html").read_bytes()
    assert said.json == {
        "path": str(tmp_path / "model.html"),
        "format": "html",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert content.startswith(b"<!DOCTYPE html>") and f"Training report: {trained} version 1".encode() in content
    with Client(served.url, key_file=served.key_file) as client:
        version = client.models.version(trained, 1)
        assert version.evaluation["verdict"].encode() in content
        assert version.evidence["environment"]["machine"].encode() in content
        saved = client.jobs.report(version.job_id, tmp_path)
        assert saved.path == tmp_path / f"{version.job_id}-report.html"
        assert saved.path.read_bytes() == content
        with pytest.raises(RequestError, match="html or pdf, got 'odt'"):
            client.models.report(trained, 1, tmp_path, format="odt")
        with pytest.raises(ApiError) as caught:
            client.jobs.report("job_0000000000000000", tmp_path)
        assert caught.value.status == 404
        client.models.download(trained, 1, tmp_path / "kept.superpose")
    alone = at_home("report", str(tmp_path / "kept.superpose"), "--out", str(tmp_path / "alone.html"))
    assert alone.code == 0 and version.evaluation["verdict"].encode() in (tmp_path / "alone.html").read_bytes()


def test_what_has_no_report_says_why(at_home: Callable[..., Any], served: Any, trained: str, tmp_path: Path) -> None:
    from superpose.circuits import Circuit, Program

    with Client(served.url, key_file=served.key_file) as client:
        client.run(Program(Circuit(1).h(0), {}, shots=10))
        program = next(job for job in client.jobs.list() if job.kind == "program")
    said = at_home("report", program.id, "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "service.conflict")
    assert "only trainings (train, train_module, train_template) have reports" in said.json["error"]["message"]
    gone = at_home("report", str(tmp_path / "gone.superpose"), "--out", str(tmp_path / "page.html"))
    assert gone.code == 1 and "There is no model file" in gone.err
    for document, words in (
        ('{"template": "tides"}', "a run of the template 'tides'"),
        ('{"template": "demand"}', "does not name its model file"),
        ('{"tem', "is damaged"),
        ("[]", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ('{"template": "demand", "model": {"file": "model.superpose"}}', "cannot be read: No such file"),
    ):
        (tmp_path / "report.json").write_text(document)
        other = at_home("report", str(tmp_path), "--out", str(tmp_path / "page.html"))
        assert other.code == 1 and words in other.err
    nowhere = at_home("report", trained, "--out", str(tmp_path / "none" / "page.html"))
    assert nowhere.code == 1 and "Choose another --out" in nowhere.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "runs/gone"), "There is no run in runs/gone."),
        (("report", "runs/begun"), "runs/begun holds no report.json"),
        (("report", "here"), "here holds no report.json"),  # a model could have this name, but nothing answers
        (("report", "gone"), "error[client.unreachable]"),
        (("predict", "runs/model.superposed", "rows.csv"), "is no model file, whose name ends in .superpose"),
        (("explain", "runs/model", "rows.csv"), "is no model file, whose name ends in .superpose"),
    ],
)
def test_a_path_that_leads_nowhere_needs_no_service_to_be_refused(
    superpose: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    (tmp_path / "runs" / "begun").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    refused = superpose(*arguments, "--url", "http://127.0.0.1:9")
    assert refused.code == 1 and said in refused.err


@pytest.mark.slow
def test_a_report_as_pdf_over_the_wire(at_home: Callable[..., Any], trained: str, tmp_path: Path) -> None:
    said = at_home("report", trained, "--out", str(tmp_path / "model.pdf"), "--json")
    if said.code == 1 and said.json["error"]["code"] == "service.extra_missing":
        pytest.skip(said.json["error"]["message"])
    assert said.json["format"] == "pdf" and (tmp_path / "model.pdf").read_bytes().startswith(b"%PDF-")
