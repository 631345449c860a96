"""Files in, files out over the command line and the client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.full_disk import room_for

from superpose import Client
from superpose.errors import ApiError, JobFailedError, RequestError


@pytest.fixture
def rows(at_home: Callable[..., Any], trained: str) -> pd.DataFrame:
    columns = [c["name"] for c in at_home("datasets", "show", trained, "--json").json["columns"]]
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.uniform(0.1, 7, (50, len(columns))), columns=columns)


def test_predict_file(at_home: Callable[..., Any], trained: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.parquet"
    rows.assign(note="x").to_csv(source, index=False)
    said = at_home("predict-file", trained, source, target, "--json")
    assert said.code == 0, said.err
    assert said.json["result"]["n_predicted"] == 50
    assert said.json["path"] == str(target)
    found = pd.read_parquet(target)
    answer = at_home("predict", trained, write(tmp_path / "r.csv", rows), "--json").json
    names = [f"p({name})" for name in answer["classes"]]
    np.testing.assert_allclose(found[names], answer["probabilities"], atol=1e-12)
    assert found["prediction"].tolist() == answer["predictions"]
    prediction_id = said.json["id"]
    assert prediction_id in at_home("predictions", "list", "--limit", "1000").out
    shown = at_home("predictions", "show", prediction_id)
    assert f"{trained} version" in shown.out
    assert "columns ignored: note" in shown.err
    again = at_home("predictions", "download", prediction_id, "--output", tmp_path / "again.parquet")
    assert again.out == f"{tmp_path / 'again.parquet'}\n"
    assert (tmp_path / "again.parquet").read_bytes() == target.read_bytes()
    with room_for(100):
        full = at_home("predict-file", trained, source, target)
    assert full.code == 1 and f"{target} cannot be written: File too large." in full.err
    assert "fetch them with: superpose predictions download job_" in full.err
    assert (tmp_path / "again.parquet").read_bytes() == target.read_bytes()
    assert at_home("predictions", "remove", prediction_id, "--json").json == {"removed": prediction_id}
    gone = at_home("predictions", "download", prediction_id, "--output", tmp_path / "gone.parquet", "--json")
    assert gone.json["error"]["code"] == "service.not_found"
    assert not (tmp_path / "gone.parquet").exists()


def write(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(path, index=False)
    return path


def test_policies_and_refusals(at_home: Callable[..., Any], trained: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    broken = rows.astype(object)
    broken.iloc[4, 0] = "wide"
    source, target = write(tmp_path / "in.csv", broken), tmp_path / "out.csv"
    failed = at_home("predict-file", trained, source, target, "--json")
    assert failed.code == 1
    assert "Row 4 (counted from 0)" in failed.json["error"]["message"]
    assert not target.exists()
    skipped = at_home("predict-file", trained, source, target, "--on-error", "skip")
    assert skipped.code == 0
    assert "49 of 50 rows predicted" in skipped.err
    assert "row 4 left out: column" in skipped.err
    assert len(pd.read_csv(target)) == 49
    nowhere = at_home("predict-file", trained, source, tmp_path / "none" / "out.csv")
    assert f"there is no folder {tmp_path / 'none'}" in nowhere.err and "job" not in nowhere.err  # before any work
    assert "must end in .csv" in at_home("predict-file", trained, source, tmp_path / "out.xml").err
    assert (
        "learning.feature_mismatch"
        in at_home("predict-file", trained, write(tmp_path / "l.csv", rows.iloc[:, 1:]), target).err
    )
    assert at_home("predict-file", "nothing", source, target).err.startswith("error[service.not_found]")
    left = at_home("predict-file", trained, source, target, "--detach", "--json").json
    assert left["path"] is None
    cancelled = at_home("jobs", "cancel", left["id"], "--json")
    assert cancelled.code in (0, 1)


def test_the_client(served: Any, trained: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    source = tmp_path / "rows.npz"
    np.savez(source, x=rows.to_numpy())
    with Client(served.url, key_file=served.key_file) as client:
        done = client.predict_file(trained, source, tmp_path / "out.npz", timeout_s=120)
        assert done.result and done.result["n_predicted"] == 50
        with np.load(tmp_path / "out.npz") as archive:
            expected = client.predict(trained, rows)
            np.testing.assert_allclose(archive["probabilities"], expected.probabilities, atol=1e-12)
        stored = client.predictions.create(trained, dataset=trained, format="csv", version=1)
        assert client.jobs.wait(stored.id, timeout_s=120).succeeded
        path = client.predictions.download(stored.id, tmp_path)
        assert path == tmp_path / f"{stored.id}.csv"
        assert stored.id in [one.id for one in client.predictions.list()]
        assert len(client.predictions.list(limit=1)) == 1
        with pytest.raises(RequestError):
            client.predictions.create(trained)
        with pytest.raises(ApiError, match="no batch prediction"):
            client.predictions.get("job_aaaaaaaaaaaa")
        rows.iloc[0, 0] = np.inf
        rows.to_csv(tmp_path / "inf.csv", index=False)
        with pytest.raises(JobFailedError, match="Row 0"):
            client.predict_file(trained, tmp_path / "inf.csv", tmp_path / "x.csv", timeout_s=120)
