"""Results of Braket's program sets, and its failures in our words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from superpose.backends.clouds.draws import bits_of
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import Circuit
from superpose.errors import ProviderError

__all__ = ["counts_of", "problem", "require_credentials", "translated"]

T = TypeVar("T")

_PASSING = frozenset(
    {
        "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
        "InternalServiceException", "InternalError", "InternalFailure", "ServiceUnavailable",
        "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException", "DeviceOfflineException",
        "ServiceQuotaExceededException", "NoSuchKey",
    }
)  # fmt: skip
"""Codes of errors that may pass: also a result that S3 does not show yet, and a quota of runs at one time."""
_CREDENTIALS = frozenset(
    {
        "AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId",
        "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "UnrecognizedClientException",
    }
)  # fmt: skip


def problem(what: str, provider_job_id: str | None = None, *, retryable: bool) -> ProviderError:
    """Return the error."""
    return ProviderError(what, provider="braket", provider_job_id=provider_job_id, retryable=retryable)


def translated(work: Callable[[], T], provider_job_id: str | None) -> T:
    """Return what ``work()`` returns.

    Raises:
        ProviderError: From what botocore or the SDK raised; a `KeyError` tells an answer that lacks something, for
            botocore takes one that was cut short for an empty one.
    """
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, NoRegionError
    from botocore.parsers import ResponseParserError

    of = "" if provider_job_id is None else f" Asked was for the run {provider_job_id}, which goes on by itself."
    try:
        return work()
    except ClientError as error:
        told = error.response.get("Error", {})
        code = str(told.get("Code", "unknown"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        hint = " Renew the AWS credentials, or what they may do." if code in _CREDENTIALS else ""
        retryable = code not in _CREDENTIALS and (code in _PASSING or status >= 500)
        raise problem(
            f"Braket answered with {code}: {told.get('Message', 'no message')}.{hint}{of}",
            provider_job_id,
            retryable=retryable,
        ) from error
    except (NoCredentialsError, NoRegionError) as error:
        raise problem(
            f"Braket is not asked without AWS credentials and region ({error}). Set them as for boto3, as in "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION.",
            provider_job_id,
            retryable=False,
        ) from error
    except (HTTPClientError, ResponseParserError, KeyError) as error:  # no answer, or one cut short
        raise problem(f"Braket does not answer ({error}).{of}", provider_job_id, retryable=True) from error
    except BotoCoreError as error:
        raise problem(f"Braket cannot be asked: {error}.{of}", provider_job_id, retryable=False) from error


def require_credentials() -> None:
    """Look for AWS credentials as boto3 does, without loading Braket's SDK.

    Raises:
        NoCredentialsError: There are none.
    """
    from botocore.exceptions import NoCredentialsError
    from botocore.session import Session

    if Session().get_credentials() is None:
        raise NoCredentialsError


def counts_of(body: Callable[[str], str], measured: MeasuredProgram, provider_job_id: str) -> list[dict[str, int]]:
    """Return the counts of each circuit.

    Args:
        body: Returns a file of the result by its name within the result's directory.
        measured: Whose results these are.
        provider_job_id: For errors.

    Raises:
        ProviderError: A circuit has failed; or these are not the results, perhaps cut short.

    Cost: one file where the result is in one; else one for each circuit.
    """

    def read(what: Any) -> Mapping[str, Any]:
        """A part of the result, which stands there itself or in a file of its own."""
        found = json.loads(body(what)) if isinstance(what, str) else what
        if not isinstance(found, Mapping):
            raise TypeError(type(found).__name__)
        return found

    try:
        programs = [read(one) for one in read("results.json")["programResults"]]
        executables = [read(one) for program in programs for one in program["executableResults"]]
        if len(executables) != len(measured.circuits):
            raise ValueError(f"{len(executables)} results of {len(measured.circuits)} circuits")
        return [
            _counts(one, circuit, measured.shots, provider_job_id)
            for one, circuit in zip(executables, measured.circuits, strict=True)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise problem(
            f"The result of the run {provider_job_id} cannot be read ({error!r}); it may be cut short. Fetch it again.",
            provider_job_id,
            retryable=True,
        ) from None


def _counts(one: Mapping[str, Any], circuit: Circuit, shots: int, provider_job_id: str) -> dict[str, int]:
    if "failureMetadata" in one:
        failure = one["failureMetadata"]
        raise problem(
            f"A circuit of the run {provider_job_id} has failed: {failure['failureReason']}.",
            provider_job_id,
            retryable=bool(failure["retryable"]),
        )
    order = [int(qubit) for qubit in one["measuredQubits"]]
    if sorted(order) != list(range(circuit.n_qubits)):
        raise ValueError(f"qubits {order} measured of {circuit.n_qubits}")
    found = Counter[str]()
    if one.get("measurements"):
        for row in np.asarray(one["measurements"], dtype=np.uint8)[:, np.argsort(order)].tolist():
            found["".join(map(str, row))] += 1
    else:
        for bits, share in one["measurementProbabilities"].items():
            times = float(share) * shots
            if abs(times - round(times)) > 1e-3 * max(1.0, times):
                raise ValueError(f"a share of {share} of {shots} shots")
            found["".join(bits[place] for place in np.argsort(order))] += round(times)
    return bits_of(circuit, found)
