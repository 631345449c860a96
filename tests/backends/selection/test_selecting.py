"""The choice of a backend: a pure function, with a reason for each candidate, that can be made again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.backends.selection import (
    Best,
    Candidate,
    Cheapest,
    Constraints,
    Decision,
    Objective,
    ProgramFacts,
    Soonest,
    Weighted,
    replay,
    select,
)
from superpose.errors import DecisionError

FACTS = ProgramFacts(digest="d", n_qubits=3, n_operations=5, shots=100, batch=1)


def line(name: str, fidelity: float | None, price: float | None, wait: float | None, **more: Any) -> Candidate:
    about = {"provider": name.partition(":")[0], "kind": "qpu", **more}
    return Candidate(name=name, fidelity=fidelity, price_usd=price, wait_s=wait, **about)  # type: ignore[arg-type]


POOL = (
    line("a:good", 0.95, 10.0, 3600.0, region="eu"),
    line("a:fair", 0.80, 2.0, 600.0, region="us", parametric=True),
    line("b:poor", 0.40, 0.1, 0.0, region="eu"),
    line("b:twin", 0.80, 2.0, 300.0),
    line("c:open", 0.99, None, None),
    line("d:small", None, None, None, reasons=("It has 3 qubits, the backend takes 2.",)),
)
OBJECTIVES: list[Objective] = [Cheapest(), Best(), Soonest(), Weighted()]


@pytest.mark.parametrize(
    ("objective", "constraints", "chosen"),
    [
        (Cheapest(min_fidelity=0.7), Constraints(), "b:twin"),  # as cheap and good as a:fair, and sooner
        (Cheapest(min_fidelity=0.0), Constraints(), "b:poor"),
        (Cheapest(min_fidelity=0.97), Constraints(), None),  # c:open has no known price
        (Best(), Constraints(), "c:open"),
        (Best(max_price_usd=20.0), Constraints(), "a:good"),
        (Best(max_price_usd=5.0), Constraints(), "b:twin"),
        (Soonest(), Constraints(), "b:poor"),
        (Soonest(min_fidelity=0.5), Constraints(), "b:twin"),
        (Weighted(), Constraints(), "a:good"),
        (Weighted(per_usd=0.05), Constraints(), "b:twin"),
        (Weighted(per_hour=20.0), Constraints(), "b:poor"),
        (Best(), Constraints(providers=frozenset({"b"})), "b:twin"),
        (Best(), Constraints(regions=frozenset({"us"})), "a:fair"),
        (Best(), Constraints(parametric=True), "a:fair"),
        (Best(), Constraints(exclude=frozenset({"c:open"})), "a:good"),
        (Best(), Constraints(kinds=frozenset({"simulator"})), None),
        (Best(), Constraints(max_price_usd=1.0), "b:poor"),
        (Cheapest(min_fidelity=0.0), Constraints(min_fidelity=0.9), "a:good"),
        (Best(), Constraints(max_wait_s=400.0), "b:twin"),
    ],
)
def test_what_is_chosen(objective: Objective, constraints: Constraints, chosen: str | None) -> None:
    decision = select(FACTS, POOL, objective, constraints)
    assert decision.chosen == chosen
    assert (chosen or "None of 6") in decision.why
    assert {one.name for one in decision.verdicts} == {one.name for one in POOL}
    ranks = [one.rank for one in decision.verdicts if one.rank is not None]
    assert ranks == list(range(1, len(ranks) + 1))
    assert all(one.reasons for one in decision.verdicts)


def test_reasons_say_what_is_missing() -> None:
    def told(limits: Constraints) -> dict[str, str]:
        return {one.name: " ".join(one.reasons) for one in select(FACTS, POOL, Cheapest(), limits).verdicts}

    where = told(Constraints(regions=frozenset({"us"})))
    assert where["a:good"] == "It is in region 'eu'; asked is us."
    assert where["b:twin"] == "It does not tell its region; asked is us."
    limits = told(Constraints(max_wait_s=100.0, parametric=True))
    assert "3600 s; at most 100 s" in limits["a:good"] and "It compiles for new values" in limits["a:good"]
    assert "Its price is unknown" in limits["c:open"]
    assert limits["d:small"] == "It has 3 qubits, the backend takes 2."


def test_emulators_are_taken_where_they_are_asked_for() -> None:
    pool = [line("e:one", 0.9, 0.0, 0.0, kind="emulator")]
    assert select(FACTS, pool, Best()).chosen is None
    assert select(FACTS, pool, Best(), Constraints(kinds=frozenset({"emulator"}))).chosen == "e:one"


def test_this_machine_is_in_every_region_and_wins_ties() -> None:
    here = line("local", 1.0, 0.0, 0.0, kind="simulator")
    rival = line("aer", 1.0, 0.0, 0.0, kind="simulator")
    for objective in OBJECTIVES:
        assert select(FACTS, [rival, here], objective).chosen == "local"
        assert select(FACTS, [rival, here], objective, Constraints(regions=frozenset({"eu"}))).chosen == "local"


values = st.one_of(st.none(), st.floats(0.0, 1e6))
lines = st.lists(
    st.builds(line, st.sampled_from("abcdefgh"), st.one_of(st.none(), st.floats(0.0, 1.0)), values, values),
    max_size=6,
    unique_by=lambda one: one.name,
)


@given(lines, st.sampled_from(OBJECTIVES), st.randoms(use_true_random=False))
def test_a_decision_is_made_again_from_its_document(pool: list[Candidate], objective: Objective, random: Any) -> None:
    decision = select(FACTS, pool, objective)
    document = json.loads(json.dumps(decision.to_json(), allow_nan=False))
    assert replay(document) == decision
    shuffled = list(pool)
    random.shuffle(shuffled)
    assert select(FACTS, shuffled, objective).chosen == decision.chosen


@given(lines, st.sampled_from(OBJECTIVES))
def test_nothing_better_was_left(pool: list[Candidate], objective: Objective) -> None:
    decision = select(FACTS, pool, objective)
    scores = [one.score for one in decision.verdicts if one.score is not None]
    ordered = sorted(scores, reverse=isinstance(objective, Best | Weighted))
    assert scores == ordered


def decision() -> Decision:
    return select(FACTS, POOL, Best(max_price_usd=20.0), Constraints(regions=frozenset({"eu", "us"})))


def test_documents_that_were_changed_are_refused() -> None:
    document = decision().to_json()
    for change in ({"chosen": "b:poor"}, {"digest": "0" * 64}, {"version": 2}, {"format": "x"}):
        with pytest.raises(DecisionError):
            replay({**document, **change})
    with pytest.raises(DecisionError, match="no document"):
        replay({})


def test_a_choice_by_other_rules_is_told() -> None:
    other = replace(decision(), chosen="b:poor").to_json()  # with a digest that fits
    with pytest.raises(DecisionError, match="says 'b:poor'; made again from its inputs it is 'a:good'"):
        replay(other)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Cheapest(min_fidelity=1.5),
        lambda: Best(max_price_usd=-1.0),
        lambda: Weighted(per_usd=float("nan")),
        lambda: Constraints(kinds=frozenset({"toaster"})),  # type: ignore[arg-type]
        lambda: Constraints(providers="ibm"),  # type: ignore[arg-type]
        lambda: select(FACTS, [POOL[0], POOL[0]], Best()),
    ],
)
def test_values_that_are_none(wrong: Any) -> None:
    with pytest.raises(DecisionError):
        wrong()
