"""Checkpoints: exact, whole after a kill at any instant, and refused when damaged or foreign."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from superpose.errors import CheckpointError
from superpose.learning.checkpoint import CheckpointStore, read_sealed_json, write_sealed_json

ARRAYS = {"weights": np.array([0.1, 1 / 3, 1e-30], dtype=np.float32), "state": np.arange(5, dtype=np.uint8)}
FACTS = {"epoch": 3, "loss": 1 / 3, "history": [[0.1, None]]}


def store(directory: Path) -> CheckpointStore:
    return CheckpointStore(directory / "checkpoint", {"split": 1})


def test_what_was_saved_comes_back_exactly(tmp_path: Path) -> None:
    assert store(tmp_path).load() is None
    store(tmp_path).save(ARRAYS, {"epoch": 0})
    store(tmp_path).save(ARRAYS | {"weights": ARRAYS["weights"] * 2}, FACTS)
    loaded = store(tmp_path).load()
    assert loaded is not None
    arrays, facts = loaded
    assert facts == FACTS
    np.testing.assert_array_equal(arrays["weights"], ARRAYS["weights"] * 2)
    assert arrays["state"].dtype == np.uint8
    assert len(list((tmp_path / "checkpoint").iterdir())) == 2
    store(tmp_path).clear()
    assert store(tmp_path).load() is None
    assert not list((tmp_path / "checkpoint").iterdir())


def test_another_run_does_not_take_the_checkpoint(tmp_path: Path) -> None:
    store(tmp_path).save(ARRAYS, FACTS)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        CheckpointStore(tmp_path / "checkpoint", {"split": 2}).load()


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    store(tmp_path).save(ARRAYS, FACTS)
    for path in (tmp_path / "checkpoint").iterdir():
        whole = path.read_bytes()
        for place in range(0, len(whole), 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(CheckpointError):
                store(tmp_path).load()
        path.write_bytes(whole[:-3])
        with pytest.raises(CheckpointError):
            store(tmp_path).load()
        path.write_bytes(whole)
    assert store(tmp_path).load() is not None


def test_arrays_that_are_gone_are_noticed(tmp_path: Path) -> None:
    store(tmp_path).save(ARRAYS, FACTS)
    next((tmp_path / "checkpoint").glob("*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match="are gone"):
        store(tmp_path).load()


def test_sealed_json_keeps_floats_exactly(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert read_sealed_json(path) is None
    write_sealed_json(path, {"values": [0.1 + 0.2, 1e-310, 2**53]})
    assert read_sealed_json(path) == {"values": [0.1 + 0.2, 1e-310, 2**53]}
    path.write_text("[]")
    with pytest.raises(CheckpointError, match="damaged"):
        read_sealed_json(path)


WRITER = """
import sys, numpy as np
from pathlib import Path
from superpose.learning.checkpoint import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]) / "checkpoint", {"split": 1})
print("ready", flush=True)
for epoch in range(1_000_000):
    store.save({"weights": np.full(3000, epoch, dtype=np.float32)}, {"epoch": epoch})
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_a_writer_killed_at_any_instant_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    newest = -1
    for pause_s in (0.0, 0.011, 0.037, 0.053):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        until_s = time.monotonic() + 60
        while pause_s and not list((tmp_path / "checkpoint").glob("*.json")) and time.monotonic() < until_s:
            time.sleep(0.001)  # all but the first have something to find, however slow the disk
        time.sleep(pause_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        loaded = store(tmp_path).load()
        if loaded is not None:
            arrays, facts = loaded
            assert (arrays["weights"] == facts["epoch"]).all()
            newest = facts["epoch"]
    assert newest >= 0
    store(tmp_path).save(ARRAYS, FACTS)
    store(tmp_path).clear()
    assert not list((tmp_path / "checkpoint").iterdir()), "nothing unfinished stays behind"


def test_an_identity_is_compared_as_json_has_it(tmp_path: Path) -> None:
    CheckpointStore(tmp_path, {"classes": (0, 1), "of": {1: "run"}}).save({"w": np.zeros(2)}, {"step": 1})
    assert CheckpointStore(tmp_path, {"classes": (0, 1), "of": {1: "run"}}).load() is not None
    with pytest.raises(CheckpointError, match="another run"):
        CheckpointStore(tmp_path, {"classes": (1, 0), "of": {1: "run"}}).load()
