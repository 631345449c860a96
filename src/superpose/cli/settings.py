"""Settings of the service and its server: flags over environment over file over defaults, each with its origin.

One name per setting everywhere: ``lease_s`` in ``superpose.toml``, ``SUPERPOSE_LEASE_S`` in the environment. A name
that is not known is refused, because a setting that silently does nothing is worse than none.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from superpose.client import default_data_dir
from superpose.errors import RequestError, SettingError
from superpose.service.config import ServiceConfig

__all__ = ["ServerConfig", "SettingValue", "Settings", "load_settings", "without_settings"]

PREFIX: Final = "SUPERPOSE_"
FILE_NAME: Final = "superpose.toml"
#: Variables that begin with the prefix and are no settings of the service.
CLIENT_VARIABLES: Final = frozenset(
    {
        "SUPERPOSE_URL",
        "SUPERPOSE_KEY",
        "SUPERPOSE_KEY_FILE",
        "SUPERPOSE_CA_FILE",
        "SUPERPOSE_CONFIG",
        "SUPERPOSE_CACHE_DIR",
        "SUPERPOSE_THREADS",
        "SUPERPOSE_DEBUG",
    }
)
_TRUTH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def without_settings(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables for a service of one's own that shall not go by the user's settings."""
    kept = {k: v for k, v in variables.items() if not k.startswith(PREFIX) or k in CLIENT_VARIABLES}
    return {**kept, "SUPERPOSE_CONFIG": "none"}


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where and how the API is served.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        tls_certificate: PEM file of the certificate, then its intermediates; needed to be reached by other machines.
        tls_key: PEM file of its private key.
        behind_proxy: why a host that other machines reach needs no certificate: which proxy ends TLS.
        public_url: the address under which clients reach the server; by default what it listens on.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: str | None = None
    public_url: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise SettingError(f"port must be a whole number from 0 to 65535, got {self.port}.", field="port")
        if (self.tls_certificate is None) != (self.tls_key is None):
            given = "tls_certificate (--certificate)" if self.tls_key is None else "tls_key (--key)"
            raise SettingError(f"Only {given} is given; TLS needs certificate and key.", field="tls_key")


@dataclass(frozen=True)
class SettingValue:
    """A setting's value and where it comes from: a flag, a variable, a file, or "default"."""

    name: str
    value: object
    origin: str
    default: object

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "name": self.name,
            "value": _plain(self.value),
            "origin": self.origin,
            "default": _plain(self.default),
        }


@dataclass(frozen=True)
class Settings:
    """All settings, checked."""

    service: ServiceConfig
    server: ServerConfig
    values: tuple[SettingValue, ...] = field(repr=False)
    file: Path | None

    def changed(self) -> list[SettingValue]:
        """The settings that somebody has set."""
        return [value for value in self.values if value.origin != "default"]

    def to_json(self) -> dict[str, object]:
        """File and settings as JSON values."""
        return {"file": _plain(self.file), "settings": [value.to_json() for value in self.values]}


@dataclass(frozen=True)
class _Given:
    """A raw value and where it stands; relative paths count from ``base``."""

    value: object
    origin: str
    base: Path


def load_settings(
    flags: Mapping[str, object] | None = None,
    *,
    config_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings that flags, environment and file add up to.

    The file is ``config_file``, else SUPERPOSE_CONFIG, else the first of ``superpose.toml`` in the working directory,
    in ``XDG_CONFIG_HOME/superpose`` and in ``/etc/superpose``. SUPERPOSE_CONFIG=none reads no file.

    Args:
        flags: name to value; None stands for "not given".
        config_file: the file to read.
        environment: the variables; by default the process's own.

    Raises:
        SettingError: an unknown name, a value out of its range, or a file that cannot be read or that others can write.
    """
    variables = os.environ if environment is None else environment
    file = _find_file(config_file, variables)
    given: dict[str, _Given] = {}
    if file is not None:
        given.update(_from_file(file))
    given.update(_from_environment(variables))
    here = Path.cwd()
    given.update({name: _Given(value, "flag", here) for name, value in (flags or {}).items() if value is not None})
    values = {name: _converted(name, item, _FIELDS[name]) for name, item in given.items()}
    values.setdefault("data_dir", default_data_dir())
    service = _made(ServiceConfig, values, given)
    server = _made(ServerConfig, values, given)
    told = tuple(
        SettingValue(name, getattr(part, name), given[name].origin if name in given else "default", _default(item))
        for part in (service, server)
        for name, item in _fields_of(type(part)).items()
    )
    return Settings(service, server, told, file)


def _fields_of(kind: type[Any]) -> dict[str, Field[Any]]:
    return {item.name: item for item in fields(kind)}


_FIELDS: Final = {**_fields_of(ServiceConfig), **_fields_of(ServerConfig)}


def _default(item: Field[Any]) -> object:
    return default_data_dir() if item.default is MISSING else item.default


def _find_file(named: Path | None, variables: Mapping[str, str]) -> Path | None:
    told = variables.get("SUPERPOSE_CONFIG", "")
    if named is not None or told:
        return None if named is None and told == "none" else (named or Path(told)).expanduser().absolute()
    home = variables.get("XDG_CONFIG_HOME") or ""
    base = Path(home) if home.startswith("/") else Path.home() / ".config"
    for path in (Path.cwd() / FILE_NAME, base / "superpose" / FILE_NAME, Path("/etc/superpose") / FILE_NAME):
        if path.is_file():
            return path
    return None


def _from_file(path: Path) -> dict[str, _Given]:
    try:
        with path.open("rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            document = tomllib.load(file)
    except OSError as error:
        raise SettingError(f"Configuration {path} cannot be read: {error.strerror}.", path=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"Configuration {path} is not TOML: {error}.", path=str(path)) from error
    for name, value in document.items():
        if isinstance(value, dict):
            raise SettingError(
                f"Configuration {path} has a table [{name}]; settings stand at its top, one per line: lease_s = 30",
                path=str(path),
            )
        _check_known(name, list(_FIELDS), f"setting in {path}")
    return {name: _Given(value, str(path), path.parent) for name, value in document.items()}


def _check_owner(path: Path, facts: os.stat_result) -> None:
    """Refuse a file through which another user could steer this service."""
    if os.name != "posix":
        return
    others_write = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if facts.st_uid not in (0, os.geteuid()) or others_write:
        raise SettingError(
            f"Configuration {path} can be written by other users; it must belong to this user or root. "
            f"Run: chmod go-w {path}",
            path=str(path),
        )


def _from_environment(variables: Mapping[str, str]) -> dict[str, _Given]:
    known = {PREFIX + name.upper(): name for name in _FIELDS}
    found, here = {}, Path.cwd()
    for variable in sorted(variables):
        if not variable.startswith(PREFIX) or variable in CLIENT_VARIABLES:
            continue
        _check_known(variable, [*known, *CLIENT_VARIABLES], "variable")
        found[known[variable]] = _Given(variables[variable], variable, here)
    return found


def _check_known(name: str, known: list[str], what: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise SettingError(
        f"{name} is no {what} that superpose knows.{hint} `superpose config show` lists them all.",
        name=name,
        nearest=near[0] if near else None,
    )


def _converted(name: str, given: _Given, item: Field[Any]) -> object:
    """A raw value as the setting's type; words from the environment are read, a file's types must fit."""
    kind, value = str(item.type), given.value
    optional = kind.endswith("| None")
    if isinstance(value, str):
        if optional and value.strip().lower() in ("", "none"):
            return None
        if kind.startswith("Path"):
            return given.base / Path(value).expanduser()
        if given.origin.startswith(PREFIX) and not kind.startswith("str"):
            value = _word(value, kind)
    if kind.startswith("float") and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    allowed = {"int": int, "float": float, "bool": bool, "str": str, "Path": Path}[kind.partition(" ")[0]]
    if not isinstance(value, allowed) or (allowed is int and isinstance(value, bool)):
        what = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "Path": "a path"}
        raise SettingError(
            f"{name} must be {what[kind.partition(' ')[0]]}{' or none' if optional else ''}, got {given.value!r} "
            f"({given.origin}).",
            field=name,
            origin=given.origin,
        )
    return value


def _word(text: str, kind: str) -> object:
    """A word of the environment as number or truth; as it is where it is none."""
    if kind.startswith("bool"):
        return _TRUTH.get(text.strip().lower(), text)
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _made(kind: type[Any], values: Mapping[str, object], given: Mapping[str, _Given]) -> Any:
    own = {name: value for name, value in values.items() if name in _fields_of(kind)}
    try:
        return kind(**own)
    except (RequestError, SettingError) as error:
        name = str(error.details.get("field", ""))
        place = f" It stands in: {given[name].origin}." if name in given else ""
        raise SettingError(f"{error.message}{place}", **error.details) from error


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
