"""No text makes the OpenQASM reader crash or hang: a short run, a long one, and Hypothesis over the same grammar."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .qasm_fuzzer import Grammar, Report, corpus, damaged, fuzz

TEXTS = corpus()


def assert_sound(report: Report) -> None:
    for what, text in report.failures:
        pytest.fail(f"{what}\n{text}")


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False))
def test_programs_of_the_grammar(random: Random) -> None:
    report = Report()
    report.add(Grammar(random).program())
    assert_sound(report)


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False))
def test_damaged_texts(random: Random) -> None:
    report = Report()
    report.add(damaged(random, TEXTS))
    assert_sound(report)


def test_a_short_run() -> None:
    report = fuzz(7, n_texts=500)
    assert_sound(report)
    assert report.outcomes["read"] > 50
    assert report.outcomes["refused"] > 50


@pytest.mark.slow
def test_a_long_run() -> None:
    report = fuzz(8, n_texts=4_000)
    assert_sound(report)
    assert report.outcomes.total() == 4_000
