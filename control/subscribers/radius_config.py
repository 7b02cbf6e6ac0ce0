# SPDX-License-Identifier: Apache-2.0
"""``[controller.radius]``: the network access servers that tell of sessions."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from control.errors import StartError
from moorline.addresses import Network
from moorline.config import Section
from moorline.reach import PrefixText

_MAX_TENANT: Final = (1 << 24) - 1
_MAX_SECRET: Final = 1024


class RadiusClientConfig(Section):
    """``[[controller.radius.client]]``."""

    address: IPv4Address | IPv6Address
    """That the server sends from."""

    secret_file: Path
    """Holds the secret that both share; a line end behind it is none of it."""

    tenant: Annotated[int, Field(ge=0, le=_MAX_TENANT)] = 0
    """Of customers that no file names."""

    node: str = ""
    """Where packets of its customers come in, unless its NAS-Identifier is the name of a node."""

    prefixes: tuple[PrefixText, ...] = ()
    """Its customers' addresses are from these; none: it may tell of any."""

    def may_tell_of(self, prefix: Network) -> bool:
        """Whether an address is one of its customers'."""
        return not self.prefixes or any(
            prefix.version == at.version and int(at[0]) <= int(prefix[0]) and int(prefix[-1]) <= int(at[-1])
            for at in self.prefixes
        )

    def secret(self) -> bytes:
        """Read the secret; raises :class:`StartError`."""
        try:
            with self.secret_file.open("rb") as opened:
                content = opened.read(_MAX_SECRET + 1).rstrip(b"\r\n")
        except OSError as error:
            raise StartError(
                f"secret {self.secret_file} of RADIUS client {self.address} cannot be read "
                f"({error.strerror}): set secret_file"
            ) from error
        if not 0 < len(content) <= _MAX_SECRET:
            raise StartError(
                f"secret {self.secret_file} of RADIUS client {self.address} is empty or longer than "
                f"{_MAX_SECRET} octets: write the secret into it"
            )
        return content


class RadiusConfig(Section):
    """``[controller.radius]``; without clients nothing listens."""

    address: IPv4Address | IPv6Address = IPv6Address("::")
    port: Annotated[int, Field(ge=0, le=65535)] = 1813
    timeout_seconds: Annotated[float, Field(gt=0, le=31_536_000)] = 1800.0
    """A session of which nothing was heard for so long has ended."""

    clients: tuple[RadiusClientConfig, ...] = Field(default=(), alias="client")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        addresses = [client.address for client in self.clients]
        if len(set(addresses)) < len(addresses):
            raise ValueError("two clients have the same address: write each once")
        return self
