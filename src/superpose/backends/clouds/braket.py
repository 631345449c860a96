"""Amazon Braket: its processors and simulators as quantum tasks with results in S3, and its simulators on this machine.

Source: the service model of ``braket`` in botocore (2019-09-01), braket.ir.openqasm.program_set 1,
braket.task_result.program_set_task_result 1 (amazon-braket-schemas 1.32).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, Final, TypeVar

from superpose.backends.clouds.answers import present
from superpose.backends.clouds.braket_local import SIMULATORS, BraketSimulator
from superpose.backends.clouds.braket_results import counts_of, problem, require_credentials, translated
from superpose.backends.clouds.draws import all_measured
from superpose.backends.clouds.readings import Reading
from superpose.backends.clouds.retry import Retry
from superpose.backends.clouds.states import call_off, status_of
from superpose.backends.clouds.waiting import Patience
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import (
    Backend,
    BackendInfo,
    BackendKind,
    BackendStatus,
    Capabilities,
    Estimate,
    Pricing,
    Program,
    ProgramResult,
    RunStatus,
)
from superpose.errors import BackendUnknownError, ProviderError, ToolkitMissingError, UnsupportedProgramError

__all__ = ["BraketDevice", "BraketProvider"]

T = TypeVar("T")

PER_QPU_RUN_USD: Final = 0.30
"""The fee of each quantum task on a processor: "price per task", the same on all (aws.amazon.com/braket/pricing).

A program set is one quantum task: "package multiple programs into a single Amazon Braket quantum task" (Amazon Braket
Developer Guide, "Running multiple programs"), and Amazon's cost tracker counts the fee once for a task, the price of a
shot for all of its shots (amazon-braket-sdk 1.127, ``braket.tracking.tracker``)."""
_BUCKET_VARIABLE: Final = "AMZN_BRAKET_OUT_S3_BUCKET"
_TAG: Final = "superpose-{}"
_TAG_SIZE, _MAX_TAGS = 256, 45
"""A tag's value holds 256 characters, a resource 50 tags (AWS General Reference, tag naming limits)."""
_TOKEN_SIZE: Final = 64
_STATUS: Mapping[str, RunStatus] = MappingProxyType(
    {
        "CREATED": RunStatus.QUEUED,
        "QUEUED": RunStatus.QUEUED,
        "RUNNING": RunStatus.RUNNING,
        "COMPLETED": RunStatus.SUCCEEDED,
        "FAILED": RunStatus.FAILED,
        "CANCELLING": RunStatus.CANCELLING,
        "CANCELLED": RunStatus.CANCELLED,
    }
)
_ONLINE: Mapping[str, BackendStatus] = MappingProxyType({"ONLINE": "online", "OFFLINE": "offline"})


class BraketProvider:
    """Amazon Braket's backends: "braket:local_sv", "braket:local_dm" on this machine, "braket:NAME" in the cloud, where
    NAME is what Amazon calls the device ("SV1", "Forte-1").

    Credentials, region and endpoints are found as boto3 finds them: ``AWS_*`` variables and files, among them
    ``AWS_ENDPOINT_URL_BRAKET`` and ``AWS_ENDPOINT_URL_S3``.

    Args:
        bucket: For results; None for ``AMZN_BRAKET_OUT_S3_BUCKET``, or else Braket's own default bucket.
        prefix: Of the results' keys in it.
        timeout_s: How long one answer may take, in seconds.
        retry: How requests are tried again.
        patience: How `BraketDevice.run` waits.
    """

    def __init__(
        self,
        bucket: str | None = None,
        *,
        prefix: str = "superpose",
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._bucket, self._prefix, self._timeout_s = bucket, prefix, timeout_s
        self._retry, self._patience = retry or Retry(), patience or Patience()

    @property
    def name(self) -> str:
        """The name "braket"."""
        return "braket"

    def list(self) -> Sequence[BackendInfo]:
        """Return the simulators of this machine and what Braket offers in all its regions; one line with the reason
        where Braket does not let us in.

        Cost: one request for each of Braket's regions.
        """
        try:
            present("braket.aws", "Amazon's SDK for Braket", "braket")
        except ToolkitMissingError as error:
            return [self._line("*", None, "unavailable", note=str(error))]
        lines = []
        for name in SIMULATORS:
            n_qubits = BraketSimulator(name).capabilities().max_qubits
            lines.append(self._line(name, "simulator", "online", n_qubits, region="here"))
        try:
            translated(require_credentials, None)
            found = self._devices()
        except ProviderError as error:
            return [*lines, self._line("*", None, "unavailable", note=str(error))]
        for name, row in found.items():
            kind: BackendKind = "qpu" if row["deviceType"] == "QPU" else "simulator"
            if row["deviceStatus"] != "RETIRED":
                status = _ONLINE.get(str(row["deviceStatus"]), "offline")
                where = region_of(str(row["deviceArn"]), str(row["region"]))
                lines.append(self._line(name, kind, status, region=where))
        return lines

    def backend(self, name: str) -> Backend:
        """Return the backend of this name.

        Raises:
            BackendUnknownError: There is none.
            ToolkitMissingError: The package amazon-braket-sdk is missing.
            ProviderError: Braket does not let us in.
        """
        if name in SIMULATORS:
            return BraketSimulator(name)
        found = self._devices()
        if name not in found:
            allowed = [*SIMULATORS, *sorted(found)]
            raise BackendUnknownError(
                f"braket has no backend {name!r}; it has {', '.join(allowed)}.", name=name, allowed=allowed
            )
        arn, session = str(found[name]["deviceArn"]), self._session(str(found[name]["region"]))
        device = self._asked(lambda: self._sdk().AwsDevice(arn, session))
        return BraketDevice(name, device, self._asked, self._place, self._patience)

    def _devices(self) -> dict[str, Mapping[str, Any]]:
        """What Braket's search says about each device, and where it was found: at home, if it is there; by name."""
        sdk = self._sdk()
        home = os.environ.get("AWS_REGION")
        out: dict[str, Mapping[str, Any]] = {}
        for region in dict.fromkeys((*([home] if home else []), *sdk.AwsDevice.REGIONS)):
            session = self._session(region)
            rows = self._asked(session.search_devices)
            for row in rows:
                if row["deviceType"] in ("QPU", "SIMULATOR"):
                    out.setdefault(str(row["deviceName"]), {**row, "region": region})
        return out

    def _session(self, region: str) -> Any:
        """A session whose client tries once and waits as long as we say: trying again is ours."""
        import boto3
        from botocore.config import Config

        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=self._timeout_s,
            read_timeout=self._timeout_s,
        )
        sdk = self._sdk()
        return self._asked(
            lambda: sdk.AwsSession(
                boto3.Session(region_name=region),
                config=config,
                default_bucket=self._bucket or os.environ.get(_BUCKET_VARIABLE),
            )
        )

    def _place(self, session: Any) -> tuple[str, str]:
        """Bucket and prefix of results."""
        return str(self._asked(session.default_bucket)), self._prefix

    def _asked(self, work: Callable[[], T], provider_job_id: str | None = None) -> T:
        return self._retry.call(lambda: translated(work, provider_job_id))

    def _sdk(self) -> Any:
        try:
            import braket.aws
        except ImportError as error:
            raise ToolkitMissingError(
                "Backends of Amazon Braket need the package amazon-braket-sdk; install superpose[braket].",
                toolkit="braket",
            ) from error
        return braket.aws

    def _line(
        self,
        name: str,
        kind: BackendKind | None,
        status: BackendStatus,
        n_qubits: int | None = None,
        note: str = "",
        region: str | None = None,
    ) -> BackendInfo:
        return BackendInfo(
            name=f"{self.name}:{name}",
            provider=self.name,
            n_qubits=n_qubits,
            kind=kind,
            status=status,
            note=note,
            region=region,
        )


class BraketDevice:
    """A processor or simulator of Amazon Braket's that takes program sets; made by `BraketProvider`.

    All circuits of a program go as one program set, in one quantum task. Our token is Braket's client token, under
    which Braket runs nothing twice; what is needed to read the result stands in the quantum task's tags, so it is
    fetched in any process.
    """

    def __init__(
        self,
        own: str,
        device: Any,
        asked: Callable[..., Any],
        place: Callable[[Any], tuple[str, str]],
        patience: Patience,
    ) -> None:
        self._own, self._device, self._asked, self._place = own, device, asked, place
        self._patience = patience

    @property
    def name(self) -> str:
        """The name, "braket:Forte-1"."""
        return f"braket:{self._own}"

    @property
    def region(self) -> str:
        """Amazon's region of the device, "eu-north-1": its ARN's, or of a simulator that all regions have, the one in
        which it is asked."""
        return region_of(self._device.arn, self._device.aws_session.region)

    @property
    def status_table(self) -> Mapping[str, RunStatus]:
        """Braket's words and ours."""
        return _STATUS

    def capabilities(self) -> Capabilities:
        """Return what Braket's description of the device says."""
        action, service = self._action(), self._device.properties.service
        n_qubits = getattr(getattr(self._device.properties, "paradigm", None), "qubitCount", None)
        return Capabilities(
            max_qubits=None if n_qubits is None else int(n_qubits),
            max_shots=min(int(service.shotsRange[1]), int(action.maximumTotalShots)),
            max_batch=int(action.maximumExecutables),
            simulator=str(self._device.type) != "QPU",
            pricing=self._pricing(),
        )

    def run(self, program: Program) -> ProgramResult:
        """Hand ``program`` over, wait, and return its result.

        Raises:
            UnsupportedProgramError: It cannot run here.
            ProviderError: See `Patience.run`.
        """
        return self._patience.run(self, program)

    def submit(self, program: Program, token: str) -> str:
        """Hand ``program`` over as one quantum task and return its ARN; the same token again gives the same.

        Raises:
            UnsupportedProgramError: It cannot run here; nothing is sent.
            ProviderError: Braket did not take it. Where ``retryable``, the same token may be used again at once.

        Cost: one request.
        """
        from hashlib import sha256

        from braket.program_sets import ProgramSet

        from superpose.frontends.braket import write

        measured = self._fitting(program)
        reading = Reading.of(program, program.seed)
        written = ProgramSet([write(all_measured(circuit)) for circuit in measured.circuits]).to_ir()
        bucket, prefix = self._place(self._device.aws_session)
        request = {
            "clientToken": token if len(token) <= _TOKEN_SIZE else sha256(token.encode()).hexdigest(),
            "deviceArn": self._device.arn,
            "shots": measured.n_shots,
            "outputS3Bucket": bucket,
            "outputS3KeyPrefix": prefix,
            "action": written.json(),
            "tags": reading.parted(_TAG, _TAG_SIZE, _MAX_TAGS, "a quantum task's tags"),
        }
        return str(self._asked(lambda: self._device.aws_session.create_quantum_task(**request)))

    def status(self, provider_job_id: str) -> RunStatus:
        """Return where the run is.

        Raises:
            ProviderError: Braket could not be asked, knows no such quantum task, or uses an unknown word.
        """
        return self._status(self._told(provider_job_id), provider_job_id)

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        """Return the result, or None while there is none yet.

        Raises:
            ProviderError: The run has failed or was called off; or its result could not be had, which is told by
                ``retryable``.
        """
        told = self._told(provider_job_id)
        status = self._status(told, provider_job_id)
        if not status.is_final:
            return None
        if status is not RunStatus.SUCCEEDED:
            raise problem(
                f"The run {provider_job_id} on {self.name} ended as {status.value}: "
                f"{told.get('failureReason', 'no reason given')}.",
                provider_job_id,
                retryable=False,
            )
        reading = _reading(told, provider_job_id)
        session = self._device.aws_session

        def body(key: str) -> str:
            at = f"{told['outputS3Directory']}/{key}"
            return str(
                self._asked(lambda: session.retrieve_s3_object_body(told["outputS3Bucket"], at), provider_job_id)
            )

        counts = counts_of(body, reading.measured, provider_job_id)
        begun, ended = told["createdAt"], told.get("endedAt")
        elapsed_s = 0.0 if ended is None else (ended - begun).total_seconds()
        facts = {"created_at": begun.isoformat()}
        return reading.measured.result(counts, reading.provenance(self.name, provider_job_id, elapsed_s, facts))

    def cancel(self, provider_job_id: str) -> None:
        """Ask that the run be called off; nothing happens where it has ended.

        Raises:
            ProviderError: Braket could not be asked, or knows no such quantum task.
        """
        cancel = self._device.aws_session.cancel_quantum_task
        call_off(self, provider_job_id, lambda: self._asked(lambda: cancel(provider_job_id), provider_job_id))

    def estimate(self, program: Program) -> Estimate:
        """Return the price by the device's own price of a shot, and one fee for the one quantum task.

        Raises:
            UnsupportedProgramError: It cannot run here.
        """
        measured, pricing = self._fitting(program), self._pricing()
        price = None
        if pricing is not None and not pricing.per_second_usd:
            price = pricing.price_usd(n_circuits=len(measured.circuits), n_shots=measured.n_shots, seconds=0.0)
        notes = {"n_circuits": len(measured.circuits), "n_shots": measured.n_shots}
        return Estimate(price_usd=price, notes=notes | ({} if pricing is None else {"price_source": pricing.source}))

    def _fitting(self, program: Program) -> MeasuredProgram:
        """The program's circuits.

        Raises:
            UnsupportedProgramError: They do not run here, or not at once.
        """
        able, action = self.capabilities(), self._action()
        require_fit(program, able, self.name)
        measured = MeasuredProgram(program)
        if len(measured.circuits) > action.maximumExecutables or measured.n_shots > action.maximumTotalShots:
            raise UnsupportedProgramError(
                f"Backend {self.name!r} takes {action.maximumExecutables:,} circuits with {action.maximumTotalShots:,} "
                f"shots in all at once; this program has {len(measured.circuits):,} with {measured.n_shots:,} (a "
                "circuit for each batch entry and measurement setting). Run it as a program set in pieces.",
                backend=self.name,
                n_circuits=len(measured.circuits),
                n_shots=measured.n_shots,
            )
        return measured

    def _action(self) -> Any:
        """What Braket says about program sets on this device.

        Raises:
            UnsupportedProgramError: It takes none.
        """
        from braket.device_schema import DeviceActionType

        action = self._device.properties.action.get(DeviceActionType.OPENQASM_PROGRAM_SET)
        if action is None:
            raise UnsupportedProgramError(
                f"Backend {self.name!r} takes no program sets, and others are not supported; take another backend.",
                backend=self.name,
            )
        return action

    def _pricing(self) -> Pricing | None:
        """The price in the device's description, which names what it is for; unknown units give None."""
        service = self._device.properties.service
        cost, at = service.deviceCost, service.updatedAt
        if cost is None or at is None or cost.unit not in ("shot", "minute"):
            return None
        return Pricing(
            as_of=date(at.year, at.month, at.day),
            source=f"deviceCost of {self._device.arn}; fee per quantum task: aws.amazon.com/braket/pricing",
            per_submission_usd=PER_QPU_RUN_USD if cost.unit == "shot" else 0.0,
            per_shot_usd=float(cost.price) if cost.unit == "shot" else 0.0,
            per_second_usd=float(cost.price) / 60.0 if cost.unit == "minute" else 0.0,
        )

    def _told(self, provider_job_id: str) -> Mapping[str, Any]:
        if not provider_job_id.startswith("arn:"):
            raise problem(f"There is no run {provider_job_id!r} at Braket.", provider_job_id, retryable=False)
        client = self._device.aws_session.braket_client

        def ask() -> Mapping[str, Any]:
            told: Mapping[str, Any] = client.get_quantum_task(quantumTaskArn=provider_job_id)
            missing = {"status", "createdAt", "outputS3Bucket", "outputS3Directory"} - set(told)
            if missing:
                raise KeyError(", ".join(sorted(missing)))
            return told

        told: Mapping[str, Any] = self._asked(ask, provider_job_id)
        return told

    def _status(self, told: Mapping[str, Any], provider_job_id: str) -> RunStatus:
        return status_of(told.get("status"), _STATUS, "braket", provider_job_id)


def region_of(arn: str, asked_in: str) -> str:
    """Region of a device: its ARN's, arn:aws:braket:eu-north-1::device/..., or where it is asked if that has none."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 and parts[3] else asked_in


def _reading(told: Mapping[str, Any], provider_job_id: str) -> Reading:
    try:
        return Reading.rejoined(told.get("tags") or {}, _TAG)
    except ValueError as error:
        raise problem(
            f"The run {provider_job_id} was not handed over by superpose, or its tags were changed: {error}. Read its "
            f"results in {told.get('outputS3Bucket')} with Braket's own tools.",
            provider_job_id,
            retryable=False,
        ) from None
