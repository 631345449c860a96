"""Artifacts: one suite over every place they can lie in."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from superpose.errors import ArtifactError, RequestError
from superpose.learning import Predictor
from superpose.service import Service, ServiceConfig
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.datadir import DataDir
from superpose.trust import read_key_file

from .conftest import CSV, SMALL_SPEC, ended, working

CONTENT = bytes(range(256)) * 10_000  # 2.4 MiB: several chunks


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The address of an S3 service on this machine (moto), with an empty bucket."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = pytest.importorskip("moto.server", reason="moto, which plays S3, is not installed")
    running = server.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(params=["directory", "file", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    if request.param == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("object_store"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "for-moto")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        bucket = f"bucket-{uuid.uuid4().hex}"
        fsspec.filesystem("s3", use_listings_cache=False).mkdir(bucket)
        return f"s3://{bucket}/superpose"
    places = {"directory": None, "file": f"file://{tmp_path}/else where", "memory": f"memory://{uuid.uuid4().hex}/a"}
    return places[request.param]


@pytest.fixture
def artifacts(url: str | None, tmp_path: Path) -> Artifacts:
    return Artifacts(DataDir(tmp_path / "data"), url)


@pytest.fixture
def place(url: str | None, tmp_path: Path) -> Callable[[str], list[str]]:
    """Names of the files in the artifacts' directory or in a part of it."""

    def listed(part: str = "") -> list[str]:
        if url is None:
            root = tmp_path / "data" / ("staging" if part else "artifacts")
            return sorted(path.name for path in root.iterdir() if path.is_file())
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        try:
            found = files.ls(f"{root}/{part}".rstrip("/"), detail=True)
        except FileNotFoundError:  # an object store has no empty directories
            return []
        return sorted(info["name"].rpartition("/")[2] for info in found if info["type"] == "file")

    return listed


def overwrite(url: str | None, tmp_path: Path, digest: str, content: bytes) -> None:
    target = f"file://{tmp_path}/data/artifacts" if url is None else url
    files, root = fsspec.core.url_to_fs(target)
    files.pipe_file(f"{root}/{digest}", content)


def test_what_is_published_is_read_back(artifacts: Artifacts, place: Callable[..., list[str]]) -> None:
    staged = artifacts.stage(CONTENT)
    assert (staged.digest, staged.n_bytes) == (digest_of(CONTENT), len(CONTENT))
    assert place() == [] and len(place(".staging")) == 1
    with pytest.raises(ArtifactError):
        artifacts.read(staged.digest)  # nobody sees it before it is published
    for _ in range(2):  # the transaction of the first may not have lasted
        artifacts.publish(staged)
    artifacts.discard(staged)
    assert place() == [staged.digest] and place(".staging") == []
    assert artifacts.read(staged.digest) == CONTENT
    assert artifacts.size(staged.digest) == artifacts.verify(staged.digest) == len(CONTENT)
    stored = artifacts.stored(staged.digest)
    assert b"".join(stored.chunks(0, stored.n_bytes)) == CONTENT
    assert max(map(len, artifacts.chunks(staged.digest))) <= 2**20
    assert b"".join(artifacts.chunks(staged.digest, 1_000_000, 2_400_000)) == CONTENT[1_000_000:2_400_000]


def test_the_same_content_twice_is_one_file(artifacts: Artifacts, place: Callable[..., list[str]]) -> None:
    first, second = artifacts.stage(b"same"), artifacts.stage(b"same")
    artifacts.publish(first)
    artifacts.publish(second)
    assert place() == [digest_of(b"same")]
    assert artifacts.read(first.digest) == b"same"


def test_a_file_is_staged_in_pieces_and_a_failed_one_leaves_nothing(
    artifacts: Artifacts, place: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    staged = artifacts.stage_file(tmp_path / "source")
    assert staged.digest == digest_of(CONTENT)
    artifacts.discard(staged)
    with pytest.raises(RuntimeError, match="client left"), artifacts.writing() as file:
        file.write(b"half")
        raise RuntimeError("client left")
    assert place(".staging") == [] and place() == []


def test_changed_and_absent_bytes_are_noticed(artifacts: Artifacts, url: str | None, tmp_path: Path) -> None:
    staged = artifacts.stage(CONTENT)
    artifacts.publish(staged)
    artifacts.verify(staged.digest)
    time.sleep(0.02)
    overwrite(url, tmp_path, staged.digest, b"x" + CONTENT[1:])
    for look in (artifacts.read, artifacts.verify, artifacts.stored):
        with pytest.raises(ArtifactError, match="has changed"):
            look(staged.digest)
    overwrite(url, tmp_path, staged.digest, CONTENT[:100])
    with pytest.raises(ArtifactError, match="shorter"):
        list(artifacts.chunks(staged.digest, 50, 200))
    artifacts.remove(staged.digest)
    artifacts.remove(staged.digest)
    assert artifacts.size(staged.digest) == 0
    for look in (artifacts.read, artifacts.verify):
        with pytest.raises(ArtifactError, match="cannot be read"):
            look(staged.digest)
    with pytest.raises(ArtifactError, match="no digest"):
        artifacts.read("../../secret")


def test_sweeping_keeps_what_is_referred_to(artifacts: Artifacts, place: Callable[..., list[str]]) -> None:
    kept, waste = artifacts.stage(b"kept"), artifacts.stage(b"waste")
    for staged in (kept, waste):
        artifacts.publish(staged)
    waiting = artifacts.stage(b"waiting")
    artifacts.sweep({kept.digest})
    assert place() == [kept.digest]
    artifacts.clear_staging()
    assert len(place(".staging")) == 1  # it may still be published
    time.sleep(1.1)  # object stores tell whole seconds
    artifacts.clear_staging(older_than_s=0.01)
    assert place(".staging") == []
    artifacts.discard(waiting)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nowhere://x", "protocol 'nowhere'"),
        ("ftp://me:secret@host/x", "no user or password"),
        ("adl://x/y", "is not installed"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        Artifacts(DataDir(tmp_path / "data"), url)
    assert caught.value.details["field"] == "artifact_url"
    assert "secret" not in str(caught.value)


def test_a_service_lives_on_artifacts_elsewhere(tmp_path: Path, kernels: None) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data", artifact_url=f"memory://{uuid.uuid4().hex}")
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        dataset = service.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
        job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="outcome")
        with working(config):
            assert ended(service, job).status == "succeeded"
        found, stored = service.models.file(admin, "outcome")
        assert Predictor.load(b"".join(stored.chunks(0, stored.n_bytes))).digest == found.digest
    assert not list((tmp_path / "data" / "artifacts").iterdir())
    with Service.open(config) as service:  # the start sweeps
        assert service.datasets.table(dataset).digest == dataset.digest
        service.datasets.delete(admin, "trial")
        with pytest.raises(ArtifactError):
            service.datasets.table(dataset)
