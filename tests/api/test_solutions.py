"""Problems from logistics over HTTP, by the client and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from superpose.cli import main
from superpose.client import Client
from superpose.errors import ApiError, ProblemFormatError
from superpose.service import ServiceConfig

from .conftest import Api, running, working

TEXT = "3 5\n6 1\n10 2\n12 3\n"
EDGES = {"kind": "maxcut", "edges": [[0, 1], [1, 2], [2, 3], [3, 0]]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service with a worker in this process."""
    config = ServiceConfig(data_dir=tmp_path_factory.mktemp("solutions") / "data", workers=0)
    with running(config) as api, working(config.data_dir):
        yield api


@pytest.fixture
def client(home: Api) -> Iterator[Client]:
    with Client(home.url, key=home.admin_key) as made:
        yield made


def test_the_client_sends_files_and_documents(client: Client, tmp_path: Path) -> None:
    (tmp_path / "small").write_text(TEXT)
    options = {"layers": 1, "time_limit_s": 5}
    made = [
        client.solutions.create(tmp_path / "small", options=options, reference=22),
        client.solutions.create(EDGES, options=options, reference=5),
    ]
    assert (made[0].name, made[0].problem_kind, made[0].n_variables, made[0].value) == ("small", "knapsack", 3, None)
    ended = [client.solutions.wait(one.id, timeout_s=120) for one in made]
    assert [one.value for one in ended] == [22.0, 4.0]
    saved = client.solutions.download(ended[1].id, tmp_path / "answer.json")
    answer = json.loads(saved.read_text())
    assert answer["value"] == 4.0 and answer["verdict"] == (ended[1].result or {})["verdict"]
    assert "The best value known, 5, is better than the bound, 4" in answer["verdict"]
    assert {one.id for one in client.solutions.list()} == {one.id for one in made}


def test_what_is_refused_says_why(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ProblemFormatError, match="gone cannot be read"):
        client.solutions.create(tmp_path / "gone")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ProblemFormatError, match="UTF-8"):
        client.solutions.create(tmp_path / "bytes")
    with pytest.raises(ApiError, match="No such option"):
        client.solutions.create(EDGES, options={"depth": 1})


def test_the_command_line_solves_on_the_service(home: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--url", home.url, "--key-file", str(home.data_dir / "keys" / "admin.key")]
    (tmp_path / "small").write_text(TEXT)

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["solutions", *words, *place])
        assert ended.value.code == 0
        return capsys.readouterr().out

    told = run("submit", str(tmp_path / "small"), "--option", "layers=1", "--option", "compare=false")
    assert "qaoa" in told and "22" in told
    document = json.loads(run("submit", str(tmp_path / "small"), "--method", "classical", "--json"))
    assert document["result"]["value"] == 22.0
    assert "classical" in run("list") and document["id"] in run("show", document["id"])
