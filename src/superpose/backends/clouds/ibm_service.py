"""IBM's service opened so that nothing runs twice, and its errors as ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from superpose.backends.clouds.answers import package
from superpose.backends.clouds.retry import RETRYABLE_STATUSES, retry_after_s
from superpose.errors import ProviderError, SuperposeError

__all__ = ["PROVIDER", "asked", "failure", "hardened", "no_account", "open_service", "runtime"]

PROVIDER = "ibm"
CONNECT_S = 10.0
LONGEST_TEXT = 300
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CLOUDFLARE = frozenset({520, 521, 522, 524})  # which IBM's own client tries again too

T = TypeVar("T")


def runtime() -> Any:
    """Return the package ``qiskit_ibm_runtime``; what it says whatever one does is not repeated.

    Raises:
        ToolkitMissingError: It is not installed.
    """
    warnings.filterwarnings(
        "ignore", message="The (Sampler|Estimator)V2 class is deprecated", category=DeprecationWarning
    )
    warnings.filterwarnings("ignore", message="Properties of fake_nighthawk", category=UserWarning)  # of any local mode
    return package("qiskit_ibm_runtime", "IBM's runtime", "ibm")


def open_service(base_url: str | None, timeout_s: float) -> Any:
    """Return a ``QiskitRuntimeService`` of the account in IBM's own variables (QISKIT_IBM_TOKEN, QISKIT_IBM_INSTANCE)
    or its saved file.

    Args:
        base_url: Where the REST interface is, with its version, instead of IBM's: https, or a loopback address.
        timeout_s: How long an answer is waited for, in seconds.

    Raises:
        ToolkitMissingError: The package is not installed.
        ProviderError: There is no account, it is not let in, the address is neither, or the service cannot be reached.
    """
    options: dict[str, Any] = {}
    if base_url is not None:
        parts = urlsplit(base_url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise _error(f"The address of the service must begin with https://, got {base_url!r}.", None, False)
        options["url_resolver"] = lambda *_: base_url
    return hardened(asked(lambda: runtime().QiskitRuntimeService(**options)), timeout_s)


def hardened(service: Any, timeout_s: float) -> Any:
    """Return the service, changed so that nothing runs twice and nothing waits for ever.

    The package tries POSTs again after a 5xx without looking whether the first one has begun a job. That is switched
    off, and answers are waited for ``timeout_s`` seconds at most: trying again is up to `Retry`, which looks first.
    """
    from requests.adapters import HTTPAdapter

    class Once(HTTPAdapter):  # type: ignore[misc]  # has no types where the package is not installed
        """Sends each request once, and does not wait for ever."""

        def send(self, request: Any, *args: Any, **options: Any) -> Any:
            return super().send(request, *args, **{**options, "timeout": (CONNECT_S, timeout_s)})

    for client in {id(one): one for one in (service._active_api_client, *service._api_clients.values())}.values():
        for scheme in ("https://", "http://"):
            client._session.mount(scheme, Once(max_retries=0))
    return service


def asked(work: Callable[[], T], provider_job_id: str | None = None) -> T:
    """Return what ``work()`` returns; IBM's errors become ours.

    Raises:
        ProviderError: See `failure`.
    """
    try:
        return work()
    except SuperposeError:
        raise
    except Exception as error:  # the package raises its own, those of requests, and those of reading JSON
        raise failure(error, provider_job_id) from error


def failure(error: BaseException, provider_job_id: str | None) -> ProviderError:
    """Return what an error of the package means: who is at fault, and whether asking again may help.

    The package drops statuses and headers from its own errors; they are taken from those that these came from.
    """
    from requests.exceptions import RequestException

    job = provider_job_id
    if any(type(link).__name__ == "AccountNotFoundError" for link in _chain(error)):
        return no_account(job)
    if any(type(link).__name__ == "RuntimeJobNotFound" for link in _chain(error)):
        return _error(f"IBM knows no job {job!r}; it was removed, or is another account's.", job, False)
    for link in _chain(error):
        response = getattr(link, "http_response", None)  # of IBM's other clients, which open accounts
        if response is None and isinstance(link, RequestException):
            response = link.response
            if response is None:
                return _error(f"IBM's service does not answer ({type(link).__name__}). Ask again later.", job, True)
        if response is None:
            continue
        status, said = response.status_code, _text(response)
        if status in (401, 403) or "API key" in said:
            return _error(
                f"IBM does not let us in (status {status}: {said}). Renew QISKIT_IBM_TOKEN, or the saved account.",
                job,
                False,
            )
        pause_s = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
        again = status in RETRYABLE_STATUSES | _CLOUDFLARE
        return _error(f"IBM answered with status {status}: {said}", job, again, pause_s)
    if isinstance(error, ValueError | EOFError | OSError) and not type(error).__module__.startswith("qiskit"):
        return _error(f"IBM's answer cannot be read ({type(error).__name__}). Ask again.", job, True)
    return _error(f"IBM's runtime failed: {type(error).__name__}: {str(error)[:LONGEST_TEXT]}", job, False)


def no_account(job: str | None = None) -> ProviderError:
    """Return what is said where nobody has told who we are."""
    return _error("There is no account at IBM; set QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE, or save one.", job, False)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those it came from, also where the package hides them."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _text(response: Any) -> str:
    """What a refused request was told: a message of IBM's form, or the beginning of the text."""
    try:
        document = response.json()
        if "errorMessage" in document:
            return str(document["errorMessage"])[:LONGEST_TEXT]
        found = (document.get("errors") or [document.get("error")])[0]
        return str(found["message"])[:LONGEST_TEXT]
    except (ValueError, AttributeError, KeyError, TypeError, IndexError):
        return str(response.text)[:LONGEST_TEXT] or str(response.reason)


def _error(text: str, job: str | None, again: bool, pause_s: float | None = None) -> ProviderError:
    return ProviderError(text, provider=PROVIDER, provider_job_id=job, retryable=again, retry_after_s=pause_s)
