"""Budgets are hard: what may cost too much is refused or scaled down before it begins, however many race."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from tests.held import ENDLESS
from tests.service.conftest import ended, working

from superpose import Circuit, Observable, Parameter, ProgramGrid, ProgramSet
from superpose.backends import LocalBackend, providers
from superpose.circuits import Capabilities, Pricing, Program, ProgramResult, program_set_to_json, program_to_json
from superpose.errors import BudgetError, ForbiddenError, NotFoundError, PriceUnknownError, ProviderError, RequestError
from superpose.service import AskedSet, CostFilter, JobStatus, Part, Principal, Role, Service, ServiceConfig

PRICING = Pricing(as_of=date(2026, 1, 1), source="a test", per_circuit_usd=0.30, per_shot_usd=0.001)


class Shop:
    """A backend that charges: 0.30 dollars for each circuit, a tenth of a cent for each shot."""

    name = "shop"
    pricing: Pricing | None = PRICING
    stated_usd: float | None = None
    broken = False

    def capabilities(self) -> Capabilities:
        return Capabilities(max_qubits=5, exact=True, simulator=True, pricing=self.pricing)

    def run(self, program: Program) -> ProgramResult:
        if self.broken:
            raise ProviderError("It broke.", provider="shop", provider_job_id="x", retryable=False)
        found = LocalBackend().run(program)
        told = {} if self.stated_usd is None else {"cost_usd": self.stated_usd}
        return ProgramResult(found.expectations, found.counts, None, {**found.provenance, "backend": "shop", **told})


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> type[Shop]:
    monkeypatch.setattr(providers, "BACKENDS", MappingProxyType({**providers.BACKENDS, "shop": Shop}))
    return Shop


def program(shots: int = 700, **parts: Any) -> dict[str, Any]:
    """By default one that costs a dollar."""
    return program_to_json(Program(Circuit(1).h(0), shots=shots, **parts))


def left(service: Service, admin: Principal, place: int = 0) -> float:
    return float(str(service.budgets.list(admin)[place].to_json()["left_usd"]))


def test_a_job_that_would_exceed_is_refused_with_the_figures(service: Service, admin: Principal, shop: object) -> None:
    service.budgets.set(admin, period="total", limit_usd=2.5)
    first = service.jobs.submit(admin, "program", program(), backend="shop")
    assert service.budgets.cost(admin, first.id).to_json()["reserved_usd"] == 1.0
    service.jobs.submit(admin, "program", program(), backend="shop")
    with pytest.raises(BudgetError, match=r"\$1\.00 on 'shop'.*\$2\.50.*\$0\.50 are left") as refused:
        service.jobs.submit(admin, "program", program(), backend="shop")
    assert refused.value.details["needed_usd"] == 1.0 and refused.value.details["used_usd"] == 2.0
    service.jobs.submit(admin, "program", program())  # this machine charges nothing
    assert left(service, admin) == 0.5
    service.jobs.cancel(admin, first.id)  # it had not begun
    assert left(service, admin) == 1.5
    assert service.budgets.cost(admin, first.id).to_json()["charged_usd"] == 0.0


@pytest.mark.usefixtures("kernels")
def test_what_a_backend_says_it_charged_counts_and_failures_keep_what_was_set_aside(
    service: Service, admin: Principal, config: ServiceConfig, shop: type[Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    service.budgets.set(admin, period="month", limit_usd=10)
    with working(config):
        job = ended(service, service.jobs.submit(admin, "program", program(), backend="shop"))
        assert job.status is JobStatus.SUCCEEDED and left(service, admin) == 9.0
        monkeypatch.setattr(shop, "stated_usd", 0.25)
        cheap = ended(service, service.jobs.submit(admin, "program", program(), backend="shop"))
        assert service.budgets.cost(admin, cheap.id).to_json()["charged_usd"] == 0.25
        monkeypatch.setattr(shop, "broken", True)
        failed = ended(service, service.jobs.submit(admin, "program", program(), backend="shop"))
        assert failed.status is JobStatus.FAILED
        assert service.budgets.cost(admin, failed.id).to_json()["charged_usd"] == 1.0
    assert left(service, admin) == 7.75


@pytest.mark.usefixtures("kernels")
def test_shots_are_scaled_down_where_the_user_allows_it(
    service: Service, admin: Principal, config: ServiceConfig, shop: object
) -> None:
    service.budgets.set(admin, period="total", limit_usd=0.8)
    key = {"idempotency_key": "once", "backend": "shop", "scale_shots": True}
    job = service.jobs.submit(admin, "program", program(), **key)  # type: ignore[arg-type]
    assert job.payload["shots"] == 500
    assert service.jobs.submit(admin, "program", program(), **key).id == job.id  # type: ignore[arg-type]
    assert left(service, admin) == 0.0
    with working(config):
        result = ended(service, job).result or {}
    counts: Any = result["counts"]
    assert sum(counts[0].values()) == 500
    assert result["provenance"]["scaled_from"] == 700 and result["provenance"]["shots"] == 500  # type: ignore[index]
    with pytest.raises(BudgetError):  # not even one shot
        service.jobs.submit(admin, "program", program(), backend="shop", scale_shots=True)


def test_a_job_has_a_limit_of_its_own(service: Service, admin: Principal, shop: object) -> None:
    with pytest.raises(BudgetError, match=r"its own limit.*Ask for fewer shots .* scaled down, or raise that limit\."):
        service.jobs.submit(admin, "program", program(), backend="shop", max_cost_usd=0.99)
    service.jobs.submit(admin, "program", program(), backend="shop", max_cost_usd=1)
    for wrong in (-1, float("nan"), True, 1e12):
        with pytest.raises(RequestError, match="max_cost_usd"):
            service.jobs.submit(admin, "program", program(), backend="shop", max_cost_usd=wrong)


def test_each_circuit_and_measurement_setting_is_charged(service: Service, admin: Principal, shop: object) -> None:
    a = Parameter("a")
    asked = Program(Circuit(1).ry(a, 0), {"a": [0.1, 0.2]}, [Observable("Z"), Observable("X")], shots=100)
    job = service.jobs.submit(admin, "program", program_to_json(asked), backend="shop")
    assert service.budgets.cost(admin, job.id).to_json()["reserved_usd"] == pytest.approx(4 * (0.30 + 0.10))
    grid = ProgramSet([(Circuit(1).ry(a, 0), {"a": [0.1, 0.2, 0.3]}, (), 100)])
    stored = service.program_sets.submit(admin, program_set_to_json(grid), AskedSet(backend="shop"))
    assert service.budgets.cost(admin, stored.job.id).to_json()["reserved_usd"] == pytest.approx(3 * 0.40)


def test_a_fee_for_each_submission_is_charged_once_for_all_circuits_in_it(
    service: Service, admin: Principal, shop: type[Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    fee = Pricing(as_of=date(2026, 1, 1), source="a test", per_submission_usd=0.30, per_shot_usd=0.001)
    monkeypatch.setattr(shop, "pricing", fee)
    a, z, x = Parameter("a"), Observable("Z"), Observable("X")

    def reserved(job_id: str) -> Any:
        return service.budgets.cost(admin, job_id).to_json()["reserved_usd"]

    asked = Program(Circuit(1).ry(a, 0), {"a": [0.1, 0.2]}, [z, x], shots=100)
    job = service.jobs.submit(admin, "program", program_to_json(asked), backend="shop")
    assert reserved(job.id) == pytest.approx(0.30 + 4 * 0.10)
    capable = Shop.capabilities

    def by_twos(self: Shop) -> Capabilities:
        return replace(capable(self), max_batch=2)

    monkeypatch.setattr(shop, "capabilities", by_twos)
    three = ProgramGrid(Circuit(1).ry(a, 0), {"a": [0.1, 0.2, 0.3]}, [z, x], 100)
    zipped = ProgramGrid(Circuit(1).ry(a, 0), {"a": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]}, [z, x], 100, observe="zip")
    for grid, price in ((three, 2 * 0.30 + 3 * 0.20), (zipped, 3 * 2 * 0.30 + 6 * 0.10)):
        stored = service.program_sets.submit(admin, program_set_to_json(ProgramSet([grid])), AskedSet(backend="shop"))
        assert reserved(stored.job.id) == pytest.approx(price)
    service.budgets.set(admin, period="total", limit_usd=100)
    scaled = service.jobs.submit(
        admin, "program", program_to_json(asked), backend="shop", max_cost_usd=0.5, scale_shots=True
    )
    assert scaled.payload["shots"] == 50 and reserved(scaled.id) == pytest.approx(0.5)


def test_what_mitigation_costs_above_a_backend_that_charges_is_not_taken_for_one_run(
    service: Service, admin: Principal, shop: type[Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    from superpose.backends.mitigation import PauliTwirling

    made = {**providers.BACKENDS, "twirled": lambda: PauliTwirling(Shop(), n_variants=4)}
    monkeypatch.setattr(providers, "BACKENDS", MappingProxyType(made))
    service.budgets.set(admin, period="total", limit_usd=100)
    asked = program(observables=[Observable("Z")])
    with pytest.raises(PriceUnknownError, match="shop"):  # four runs, whose fees nobody adds up
        service.jobs.submit(admin, "program", asked, backend="twirled")
    monkeypatch.setattr(shop, "pricing", Pricing(as_of=date(2026, 1, 1), source="free"))
    service.jobs.submit(admin, "program", asked, backend="twirled")


def test_unknown_prices_pass_only_where_nothing_limits_them(
    service: Service, admin: Principal, shop: type[Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "pricing", None)
    service.jobs.submit(admin, "program", program(), backend="shop")
    with pytest.raises(PriceUnknownError, match="'shop'"):
        service.jobs.submit(admin, "program", program(), backend="shop", max_cost_usd=100)
    service.budgets.set(admin, period="total", limit_usd=100)
    with pytest.raises(PriceUnknownError, match="'shop'"):
        service.jobs.submit(admin, "program", program(), backend="shop")


def test_users_have_budgets_within_their_projects(service: Service, admin: Principal, shop: object) -> None:
    user = service.users.create(admin, name="Ada", project=admin.project, role=Role.EDITOR)
    _, secret = service.keys.create(admin, role=Role.EDITOR, user=user.id)
    ada = service.authenticate(secret)
    service.budgets.set(admin, period="day", limit_usd=1, user=user.id)
    service.jobs.submit(ada, "program", program(), backend="shop")
    with pytest.raises(BudgetError, match=f"budget of user {user.id} for this day"):
        service.jobs.submit(ada, "program", program(), backend="shop")
    service.jobs.submit(admin, "program", program(), backend="shop")
    assert [cost.user for cost in service.budgets.costs(admin, wanted=CostFilter(user=user.id)).items] == [user.id]
    service.budgets.lift(admin, period="day", user=user.id)
    assert service.budgets.list(admin) == []
    service.jobs.submit(ada, "program", program(), backend="shop")


def test_a_period_begins_anew(tmp_path: Path, shop: object) -> None:
    at = [datetime(2026, 1, 31, 23, 50, tzinfo=UTC)]
    with Service.open(ServiceConfig(data_dir=tmp_path / "data"), clock=lambda: at[0]) as service:
        from superpose.trust import read_key_file

        admin = service.authenticate(read_key_file(service.admin_key_path))
        for period in ("day", "month", "total"):
            service.budgets.set(admin, period=period, limit_usd=2)
        service.jobs.submit(admin, "program", program(), backend="shop")
        at[0] += timedelta(minutes=20)
        used = {budget.period: budget.used_micros for budget in service.budgets.list(admin)}
        assert used == {"day": 0, "month": 0, "total": 1_000_000}


def test_who_may_do_what(service: Service, admin: Principal, stranger: Principal) -> None:
    user = service.users.create(admin, name="Ada", project=admin.project, role=Role.EDITOR)
    with pytest.raises(ForbiddenError):
        service.budgets.set(stranger, period="day", limit_usd=1)  # an admin there, but no operator
    with pytest.raises(NotFoundError):
        service.budgets.list(stranger, admin.project)
    with pytest.raises(NotFoundError):
        service.budgets.set(stranger, period="day", limit_usd=1, user=user.id)
    with pytest.raises(RequestError, match="day, month, total"):
        service.budgets.set(admin, period="week", limit_usd=1)
    job = service.jobs.submit(admin, "program", program())
    with pytest.raises(NotFoundError):
        service.budgets.cost(stranger, job.id)
    actions = [entry.action for entry in service.audit.list(admin, Part(limit=50)).items]
    service.budgets.set(admin, period="day", limit_usd=1)
    service.budgets.lift(admin, period="day")
    later = [entry.action for entry in service.audit.list(admin, Part(limit=50)).items]
    assert len(later) == len(actions) + 2 and sum("budget" in action for action in later) == 2


def race(service: Service, admin: Principal, n_jobs: int) -> Iterator[BaseException | str]:
    """Submit so many dollar jobs at once; what each got."""
    out: list[BaseException | str] = []
    start = threading.Barrier(8)

    def submit(numbers: range) -> None:
        start.wait()
        for _ in numbers:
            try:
                out.append(service.jobs.submit(admin, "program", program(), backend="shop").id)
            except BudgetError as error:
                out.append(error)

    threads = [threading.Thread(target=submit, args=(range(k, n_jobs, 8),)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield from out


def test_200_jobs_race_for_the_last_dollar(
    config: ServiceConfig, service: Service, admin: Principal, shop: object
) -> None:
    """Two services on one store, four threads each: as from two processes, every write is its own transaction."""
    service.budgets.set(admin, period="total", limit_usd=6.99)
    for _ in range(5):
        service.jobs.submit(admin, "program", program(), backend="shop")
    with Service.open(config, exclusive=False) as other:
        halves: list[list[BaseException | str]] = [[], []]
        both = [
            threading.Thread(target=lambda k=k, one=one: halves[k].extend(race(one, admin, 100)))  # type: ignore[misc]
            for k, one in enumerate((service, other))
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    taken = [one for half in halves for one in half if isinstance(one, str)]
    assert sum(map(len, halves)) == 200 and len(taken) == 1
    assert left(service, admin) == pytest.approx(0.99)


def test_time_of_workers_costs_and_ends(tmp_path: Path, kernels: None) -> None:
    from tests.service.conftest import add_trial

    from superpose.trust import read_key_file

    with pytest.raises(RequestError, match="job_seconds"):
        ServiceConfig(data_dir=tmp_path / "data", worker_second_usd=0.01)
    config = ServiceConfig(data_dir=tmp_path / "data", worker_second_usd=0.01, job_seconds=600.0)
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        add_trial(service, admin)
        service.budgets.set(admin, period="total", limit_usd=6.5)
        job = service.jobs.submit(admin, "train", ENDLESS, dataset="trial", max_seconds=1.25)
        assert service.budgets.cost(admin, job.id).to_json()["reserved_usd"] == 0.0125
        short = service.jobs.submit(admin, "program", program())  # ten minutes at most: 6 dollars
        with pytest.raises(
            BudgetError, match=r"left\. Give a max_seconds below 600 \(.*\), or have the budget raised\."
        ):
            service.jobs.submit(admin, "program", program())
        with pytest.raises(BudgetError, match=r"left\. Have the budget raised\."):  # a sweep takes no max_seconds
            service.sweeps.submit(admin, {"space": {"model.n_qubits": [1, 2]}}, dataset="trial", name="search")
        with working(config):
            over = ended(service, job)
            ended(service, short)
        assert over.status is JobStatus.FAILED and (over.error or {})["code"] == "service.job_time"
        assert "have held it for the 1.25 s that it may take" in (over.error or {})["message"]
        cost = service.budgets.cost(admin, job.id)
        assert cost.charged_micros == 12_500 and (cost.seconds or 0) >= 1.25
        assert left(service, admin) > 6.4


def test_a_sweep_is_refused_where_no_trial_fits_beside_it_and_told_where_money_may_run_out(tmp_path: Path) -> None:
    from tests.service.conftest import add_trial

    from superpose.trust import read_key_file

    pytest.importorskip("optuna", reason="needs superpose[sweeps]")
    config = ServiceConfig(data_dir=tmp_path / "data", worker_second_usd=0.01, job_seconds=600.0)
    sweep = {"space": {"model.n_qubits": [1, 2]}, "n_trials": 2, "sampler": {"name": "grid"}}
    with Service.open(config) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        add_trial(service, admin)
        service.budgets.set(admin, period="total", limit_usd=11.99)  # the sweep's own 6 dollars would fit
        with pytest.raises(BudgetError, match=r"needs \$12\.00: \$6\.00 are set aside .* left\. Have the") as refused:
            service.sweeps.submit(admin, sweep, dataset="trial", name="search")
        told = refused.value.details
        assert (told["needed_usd"], told["limit_usd"], told["used_usd"]) == (12.0, 11.99, 0.0)
        assert service.sweeps.list(admin).items == ()
        service.budgets.set(admin, period="total", limit_usd=12.0)
        made = service.sweeps.submit(admin, sweep, dataset="trial", name="search")
        (remark,) = made.job.remarks
        assert remark["code"] == "sweep.may_run_out" and remark["needed_usd"] > remark["left_usd"] == 12.0  # type: ignore[operator]  # JSON
        service.sweeps.cancel(admin, "search")
        service.budgets.set(admin, period="total", limit_usd=100.0)
        assert service.sweeps.submit(admin, sweep, dataset="trial", name="again").job.remarks == ()
