"""Pictures of what a deployed model looked at in an image, through a real server: over HTTP, client and terminal."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from superpose import Client, QuantumLayer
from superpose.errors import ApiError

pytest.importorskip("matplotlib", reason="draws the pictures")
image = pytest.importorskip("PIL.Image", reason="reads the pictures again")

KINDS = {"auto": "class_activation", "attribution": "attribution", "occlusion": "occlusion"}
"""Asked for -> drawn, of a module with convolutions."""


class Seeing(nn.Module):
    """Two convolutions, a circuit, and a linear layer, for pictures of 8 x 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.pool, self.entry = nn.MaxPool2d(2), nn.Linear(6 * 16, 2)
        self.circuit, self.exit = QuantumLayer(2, layers=1, seed=1), nn.Linear(2, 2)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 64) -> (batch, 2)."""
        seen = torch.relu(self.second(self.pool(torch.relu(self.first(rows.reshape(-1, 1, 8, 8))))))
        return self.exit(self.circuit(torch.tanh(self.entry(seen.flatten(1)))))


@pytest.fixture(scope="session")
def digits(served: Any, tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """Three scans of handwritten digits; a module that tells 3 from 5 stands behind the endpoint of this name."""
    found = load_digits(as_frame=True)
    chosen = np.isin(found.target, (3, 5))
    frame = found.data[chosen].assign(digit=np.where(found.target[chosen] == 3, "three", "five"))
    directory = tmp_path_factory.mktemp("digits")
    torch.manual_seed(0)
    with Client(served.url, key_file=served.key_file) as client:
        frame.to_csv(directory / "digits.csv", index=False)
        client.datasets.add(directory / "digits.csv", target="digit")
        spec = {"evaluation": {"n_splits": 2, "controls": [], "baseline": "none"}, "preprocessing": {"scaling": "none"}}
        job = client.train_module(Seeing(), "digits", model="digits", epochs=4, spec=spec)
        done = client.jobs.wait(job.id, timeout_s=240)
        assert done.status == "succeeded", done.error
        client.endpoints.create("digits", model="digits")
    rows: list[list[float]] = found.data[chosen].iloc[:3].to_numpy().tolist()
    return rows


def assert_drawn(content: bytes) -> None:
    with image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (680, 330))
        assert np.asarray(picture.convert("RGB")).std() > 10  # something is drawn


@pytest.mark.slow
def test_pictures_over_every_door(
    served: Any, digits: list[list[float]], at_home: Callable[..., Any], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(digits))
    with Client(served.url, key_file=served.key_file) as client:
        for asked, drawn in KINDS.items():
            said = at_home("explain", "digits", rows, "--png", tmp_path / asked, "--picture", asked, "--json")
            assert said.code == 0, said.err
            files = [Path(row["picture"]["file"]) for row in said.json["rows"]]
            assert sorted(files) == sorted((tmp_path / asked).iterdir())
            assert [row["picture"]["kind"] for row in said.json["rows"]] == [drawn] * 3
            pictures = [row.picture for row in client.explain("digits", digits, picture=asked).rows]
            for file, picture in zip(files, pictures, strict=True):
                assert picture is not None and picture.kind == drawn
                assert (picture.layer is not None) == (drawn == "class_activation")
                assert picture.png == file.read_bytes()
                assert_drawn(picture.png)
            assert len({picture.png for picture in pictures if picture}) == 3, "each image has its own"
        over_http = post(served, "/v1/endpoints/digits/explain", {"rows": digits[:1], "picture": {"kind": "occlusion"}})
        sent = over_http["rows"][0]["picture"]
        assert sent["media_type"] == "image/png"
        assert base64.b64decode(sent["data"]) == (tmp_path / "occlusion").joinpath(files[0].name).read_bytes()
        with pytest.raises(ApiError, match="no 4 x 9 image"):
            client.explain("digits", digits, picture={"kind": "auto", "height": 4, "width": 9})
        with pytest.raises(ApiError, match="Pictures are made for 20 rows"):
            client.explain("digits", digits * 7, picture="auto")
    told = at_home("explain", "digits", rows, "--png", tmp_path / "told", "--image", "8x8", "--class", "five")
    assert told.code == 0 and told.err.count("written ") == 3
    assert len(list((tmp_path / "told").glob("row-*-class_activation-five.png"))) == 3


def post(served: Any, path: str, body: dict[str, Any]) -> Any:
    """The answer to a request as any HTTP client sends it."""
    secret = served.key_file.read_text().strip()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
    request = urllib.request.Request(served.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)
