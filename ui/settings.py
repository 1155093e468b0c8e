"""Settings of the server, from environment variables; the table in README.md describes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from platformdirs import user_data_path
from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipeline.languages.messages import MessageError
from ui.startup import CannotStart

LOOPBACK = "127.0.0.1"
MAX_PIXELS = 8192 * 4320
"""Default limit of a frame's pixels: 8K."""

_LOOPBACK_HOSTS = (LOOPBACK, "::1", "localhost")


class _Invalid(MessageError, ValueError):
    """A variable's text is not valid; the name of the variable is filled in where it is known."""

    def __str__(self) -> str:
        return self.message.key  # pydantic asks before there is a name


# Each parser takes a variable's text and raises _Invalid.


def _whole_number(least: int, most: int, unit: int = 1) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`, which are multiplied by `unit`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise _Invalid("settings.number", value=text, least=least, most=most)
        return int(text) * unit

    return parse


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise _Invalid("settings.switch", value=text)
    return text == "1"


def _host_names(text: str) -> tuple[str, ...]:
    hosts = tuple(host.strip() for host in text.split(",") if host.strip())
    for host in hosts:
        if "/" in host or " " in host or "*" in host:
            raise _Invalid("settings.hosts", value=host)
    return hosts


def _device_names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if not re.fullmatch(r"cpu|mps|(cuda|xpu):\d+", name):
            raise _Invalid("settings.devices", value=name)
    return names


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # "~" of an unknown user; a loop of links
        raise _Invalid("settings.folder", value=text, reason=str(error)) from error


def _log_format(text: str) -> str:
    if text not in ("json", "text"):
        raise _Invalid("settings.log", value=text)
    return text


def _variable(name: str, default: Any) -> Any:
    return pydantic.Field(default, validation_alias=name)


class Settings(BaseSettings):
    """Settings, read from the environment once; a variable that is empty counts as not set.

    Of the variables in README.md's table, `pipeline` itself reads RECORTE_WEIGHTS, RECORTE_COMPILE and
    RECORTE_TENSORRT.
    """

    model_config = SettingsConfigDict(
        case_sensitive=True, env_ignore_empty=True, extra="ignore", frozen=True, validate_default=False
    )

    home: Annotated[Path, BeforeValidator(_folder)] = pydantic.Field(
        default_factory=lambda: user_data_path("recorte"), validation_alias="RECORTE_HOME"
    )
    database_url: str | None = _variable("DATABASE_URL", None)
    host: str = _variable("RECORTE_HOST", LOOPBACK)
    port: Annotated[int, BeforeValidator(_whole_number(0, 65535))] = _variable("RECORTE_PORT", 7860)
    open: Annotated[bool, BeforeValidator(_switch)] = _variable("RECORTE_OPEN", False)
    users: Annotated[bool, BeforeValidator(_switch)] = _variable("RECORTE_USERS", False)
    hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_host_names)] = _variable("RECORTE_HOSTS", ())
    upload_bytes: Annotated[int, BeforeValidator(_whole_number(1, 10**6, 2**20))] = _variable(
        "RECORTE_UPLOAD_MB", 4096 * 2**20
    )
    quota_bytes: Annotated[int, BeforeValidator(_whole_number(0, 10**6, 2**30))] = _variable(
        "RECORTE_QUOTA_GB", 0
    )
    max_seconds: Annotated[int, BeforeValidator(_whole_number(0, 10**5, 60))] = _variable(
        "RECORTE_MOST_MINUTES", 0
    )
    max_pixels: Annotated[int, BeforeValidator(_whole_number(0, 10**9))] = _variable(
        "RECORTE_MOST_PIXELS", MAX_PIXELS
    )
    keep_days: Annotated[int, BeforeValidator(_whole_number(0, 10**5))] = _variable("RECORTE_KEEP_DAYS", 0)
    stall_seconds: Annotated[int, BeforeValidator(_whole_number(1, 10**4, 60))] = _variable(
        "RECORTE_STALL_MINUTES", 10 * 60
    )
    webhooks_private: Annotated[bool, BeforeValidator(_switch)] = _variable("RECORTE_WEBHOOKS_PRIVATE", False)
    devices: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_device_names)] = _variable(
        "RECORTE_DEVICES", ()
    )
    """Devices that take runs, one each at a time; empty: all CUDA devices, or the one that there is."""
    ray: str | None = _variable("RECORTE_RAY", None)
    """Address of the Ray cluster whose nodes take the runs in place of this machine's devices."""
    store: str | None = _variable("RECORTE_STORE", None)
    """Address of the store through which the cluster's nodes get files; None: they see the data folder."""
    log: Annotated[Literal["json", "text"] | None, BeforeValidator(_log_format)] = _variable(
        "RECORTE_LOG", None
    )

    @property
    def exposed(self) -> bool:
        """True if users of other machines can reach the server: by its address, or through a proxy."""
        return self.host not in _LOOPBACK_HOSTS or bool(self.hosts)


def read_settings() -> Settings:
    """Read the settings from the environment. Raises CannotStart for the first variable that is not valid."""
    try:
        settings = Settings()
    except ValidationError as invalid:
        error = invalid.errors()[0]
        variable, cause = str(error["loc"][0]), error.get("ctx", {}).get("error")
        if isinstance(cause, _Invalid):
            raise CannotStart.of(cause.message.extend(variable=variable)) from None
        raise CannotStart("settings.other", variable=variable, reason=error["msg"]) from None
    if settings.store is not None and settings.ray is None:
        raise CannotStart("settings.store_alone", store=settings.store)
    return settings
