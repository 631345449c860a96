"""The collector of cyclic garbage does not stop a server for as long as all its objects would take."""

from __future__ import annotations

import gc
import sys
import time
import types
import weakref
from collections.abc import Iterator

import pytest

from superpose.service.operations.pauses import set_modules_aside, short_pauses


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Without what servers that other tests of this process have left running do after each collection.

    Nor is anything set aside before, as these tests' own process has it.
    """
    others = gc.callbacks[:]
    gc.callbacks.clear()
    gc.unfreeze()
    yield
    gc.callbacks.extend(others)
    gc.freeze()


def looked_at(thing: object) -> bool:
    """Whether a full collection looks at it: the list of tracked objects leaves out those set aside."""
    return any(other is thing for other in gc.get_objects())


class Node:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_there_before_is_not_looked_at() -> None:
    objects = [[i] for i in range(300_000)]
    gc.collect()
    with short_pauses():
        assert gc.get_freeze_count() > len(objects)
        assert not looked_at(objects[0])
    assert gc.get_freeze_count() == 0
    assert looked_at(objects[0])


def test_what_others_have_set_aside_stays_so() -> None:
    objects = [[i] for i in range(1000)]
    gc.freeze()
    with short_pauses():
        assert not looked_at(objects[0])
    assert gc.get_freeze_count() > len(objects)
    assert not looked_at(objects[0])
    gc.unfreeze()


def test_what_comes_later_and_takes_long_is_set_aside() -> None:
    with short_pauses(long_s=0.001):
        before = gc.get_freeze_count()
        later = [[i] for i in range(200_000)]
        gc.collect()
        assert gc.get_freeze_count() - before > len(later) / 2  # the last few may be looked at quickly


def test_modules_that_come_later_are_set_aside_with_what_they_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    with short_pauses(long_s=60.0):
        later = [[i] for i in range(50_000)]
        before = gc.get_freeze_count()
        set_modules_aside()  # none came
        assert gc.get_freeze_count() <= before
        for number in range(30):
            monkeypatch.setitem(sys.modules, f"some_library_{number}", types.ModuleType("some"))
        set_modules_aside()
        assert gc.get_freeze_count() - before >= len(later)
    set_modules_aside()
    assert gc.get_freeze_count() == 0


def test_what_is_quick_is_not_set_aside() -> None:
    with short_pauses(long_s=60.0):
        before = gc.get_freeze_count()
        later = [[i] for i in range(1000)]
        gc.collect()
        assert gc.get_freeze_count() <= before
        assert len(later) == 1000


def test_new_cycles_are_freed_at_once_and_old_ones_at_the_next_look_at_everything() -> None:
    old = Node()
    with short_pauses():
        new = Node()
        gone = weakref.ref(new)
        del new
        gc.collect()
        assert gone() is None
    with short_pauses(every_s=0.2):
        old_gone = weakref.ref(old)
        del old
        until_s = time.monotonic() + 30
        while old_gone() is not None and time.monotonic() < until_s:
            time.sleep(0.02)
        assert old_gone() is None
