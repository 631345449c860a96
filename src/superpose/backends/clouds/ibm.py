"""IBM Quantum through qiskit-ibm-runtime: the processors of an account, and the package's local mode."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from superpose.backends.clouds.answers import present
from superpose.backends.clouds.ibm_backend import ESTIMATOR, IbmBackend, IbmOptions, region_of
from superpose.backends.clouds.ibm_calibration import calibration_of
from superpose.backends.clouds.ibm_service import PROVIDER, asked, hardened, no_account, open_service, runtime
from superpose.circuits import BackendInfo, Pricing
from superpose.errors import BackendUnknownError, ProviderError, SuperposeError

__all__ = ["IbmOptions", "IbmProvider"]

LOCAL = "fake_"
_TOKEN, _SAVED = "QISKIT_IBM_TOKEN", Path("~/.qiskit/qiskit-ibm.json")
"""Where qiskit-ibm-runtime finds accounts (its ``accounts/management.py``)."""
_SOURCE = "https://www.ibm.com/quantum/pricing, as compiled by API Evangelist on 2026-05-25"
PRICES: Mapping[str, Pricing] = MappingProxyType(
    {
        plan: Pricing(as_of=date(2026, 5, 25), source=_SOURCE, per_second_usd=per_second_usd)
        for plan, per_second_usd in (("open", 0.0), ("pay-as-you-go", 1.60), ("flex", 1.20), ("premium", 0.80))
    }
)
"""By the plan of the instance, per second on the processor; other plans have no public price."""

_FREE = Pricing(as_of=date(2026, 11, 26), source="this machine")


class IbmProvider:
    """Offers the processors of an account as "ibm:ibm_fez", and the package's local mode as "ibm:fake_fez".

    Args:
        base_url: Of the REST interface, instead of IBM's; see `open_service`.
        options: How programs go to the processors.
        service: A ``QiskitRuntimeService`` of your own, instead of one opened by ``base_url``; see `hardened`.
    """

    name = PROVIDER

    def __init__(self, base_url: str | None = None, options: IbmOptions | None = None, service: Any = None) -> None:
        self._base_url, self._given = base_url, service
        self._options = IbmOptions() if options is None else options
        self._retry = self._options.retry

    @cached_property
    def _service(self) -> Any:
        if self._given is not None:
            return hardened(self._given, self._options.timeout_s)
        return self._retry.call(lambda: open_service(self._base_url, self._options.timeout_s))

    def list(self) -> Sequence[BackendInfo]:
        """Return a line for each processor of the account; see `Provider`.

        Cost: some requests for each processor; nothing where there is no account. Local mode is not listed, for
        provider "emulator" has the same processors.
        """
        try:
            self._require_account()
            return [self._line(name) for name in self._names()]
        except SuperposeError as error:
            text = f"{error} Local mode, such as ibm:{LOCAL}manila, needs no account."
            return [
                BackendInfo(
                    name=PROVIDER, provider=PROVIDER, n_qubits=None, kind="qpu", status="unavailable", note=text
                )
            ]

    def _require_account(self) -> None:
        """Look for package and account without loading the package, which takes seconds.

        Raises:
            ToolkitMissingError, ProviderError: There is none.
        """
        present("qiskit_ibm_runtime", "IBM's runtime", "ibm")
        if self._given is None and not os.environ.get(_TOKEN) and not _is_saved():
            raise no_account()

    def _line(self, short: str) -> BackendInfo:
        name = f"{PROVIDER}:{short}"
        try:
            native = self._native(short)
            state = asked(native.status)
            at = calibration_of(name, asked(native.properties)).taken_at
            n_qubits = asked(lambda: native.num_qubits)
        except ProviderError as error:
            return BackendInfo(
                name=name, provider=PROVIDER, n_qubits=None, kind="qpu", status="unavailable", note=str(error)
            )
        return BackendInfo(
            name=name,
            provider=PROVIDER,
            n_qubits=n_qubits,
            kind="qpu",
            status="online" if state.operational else "offline",
            calibration_at=at,
            note=f"{state.pending_jobs} jobs in the queue",
            region=region_of(native._instance),
        )

    def _names(self) -> Sequence[str]:
        """Names of the account's processors. The package's own listing takes a fault for an empty list."""
        clients = list(self._service._api_clients.values())
        rows = self._retry.call(lambda: asked(lambda: [row for one in clients for row in one.list_backends()]))
        return sorted({str(row["name"]) for row in rows})

    def _native(self, name: str) -> Any:
        """Qiskit's backend of a name that is listed; where the package does not find it, it could not read it."""

        def find() -> Any:
            try:
                return asked(lambda: self._service.backend(name))
            except ProviderError as error:
                if type(error.__cause__).__name__ != "QiskitBackendNotFoundError":
                    raise
                raise ProviderError(
                    f"IBM lists {name}, but its configuration cannot be read. Ask again later.",
                    provider=PROVIDER,
                    provider_job_id=None,
                    retryable=True,
                ) from error

        return self._retry.call(find)

    def backend(self, name: str) -> IbmBackend:
        """Return the backend of this name: a processor of the account, or local mode where it begins with "fake_".

        Behind "estimator:" stands the same with EstimatorV2; see `IbmOptions`.

        Raises:
            BackendUnknownError: There is none.
            ToolkitMissingError: The package is not installed.
            ProviderError: There is no account, or it is not let in.
        """
        options = self._options
        if name.startswith(ESTIMATOR):
            name, options = name.removeprefix(ESTIMATOR), replace(options, primitive="estimator")
        if name.startswith(LOCAL):
            return IbmBackend(self._local(name), None, options, _FREE)
        names = self._names()
        if name in names:
            native = self._native(name)
            return IbmBackend(native, self._service, options, self._pricing(native))
        raise BackendUnknownError(
            f"This account at IBM has no backend {name!r}; it has {', '.join(names) or 'none'}. Names that begin with "
            f"{LOCAL!r} run in local mode.",
            name=name,
            allowed=names,
        )

    def _local(self, name: str) -> Any:
        local = runtime().QiskitRuntimeService(channel="local")
        from qiskit.providers.exceptions import QiskitBackendNotFoundError

        try:
            return local.backend(name)
        except (QiskitBackendNotFoundError, IndexError):
            known = sorted(one.name for one in local.backends())
            raise BackendUnknownError(
                f"Local mode has no backend {name!r}; it has {', '.join(known)}.", name=name, allowed=known
            ) from None

    def _pricing(self, native: Any) -> Pricing | None:
        """The price of the plan of the backend's instance, if it is public."""
        crn = getattr(native, "_instance", None)
        plans = [row["plan"] for row in asked(self._service.instances) if row["crn"] == crn]
        return PRICES.get(plans[0]) if plans else None


def _is_saved() -> bool:
    """Whether there may be a saved account; the package itself writes a file that holds none."""
    try:
        return bool(json.loads(_SAVED.expanduser().read_text(encoding="utf-8")) != {})
    except OSError:
        return False
    except ValueError:
        return True  # which the package is to say
