# SPDX-License-Identifier: Apache-2.0
"""An unmodified nginx that serves a folder, and files with content that nobody can guess."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tools.lab.namespace import Namespace
from tools.lab.process import Process
from tools.lab.waiting import wait_until

NGINX: Final = "/usr/sbin/nginx"
CHUNK: Final = 1 << 22

_CONFIGURATION = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
events {{ worker_connections 256; }}
http {{
    log_format moorline escape=json '{{"connection": $connection, "requests": $connection_requests, '
        '"status": $status, "bytes": $body_bytes_sent, "client": "$remote_addr", "uri": "$uri"}}';
    access_log {folder}/access.log moorline;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    sendfile on; limit_rate {rate}; sendfile_max_chunk {chunk};
    server {{ listen 80; listen [::]:80; root {root}; expires 1h; }}
}}
"""


@dataclass(frozen=True)
class Content:
    """A file and the SHA-256 of what is in it, in hexadecimal."""

    path: Path
    size: int
    sha256: str


def random_file(path: Path, size: int) -> Content:
    """Write ``size`` octets of keystream (AES in counter mode, fresh key): random, and quickly made."""
    stream = Cipher(algorithms.AES(os.urandom(16)), modes.CTR(bytes(16))).encryptor()
    digest = hashlib.sha256()
    zeros = bytes(CHUNK)
    with path.open("wb") as file:
        for start in range(0, size, CHUNK):
            chunk = stream.update(zeros[: min(CHUNK, size - start)])
            digest.update(chunk)
            file.write(chunk)
    return Content(path, size, digest.hexdigest())


class WebServer:
    """nginx in a namespace, serving ``root`` on port 80; a context manager.

    It paces, not the client: curl would read in bursts, with pauses longer than those that are looked for.
    """

    def __init__(self, place: Namespace, folder: Path, rate: int) -> None:
        """``rate`` is that of a response, in octets a second."""
        self.place = place
        self.folder = folder
        self.root = folder / "files"
        self.root.mkdir(parents=True)
        configuration = folder / "nginx.conf"
        text = _CONFIGURATION.format(folder=folder, root=self.root, rate=rate, chunk=rate // 500)
        configuration.write_text(text)
        self._command = (NGINX, "-c", str(configuration), "-e", str(folder / "error.log"))
        self._process: Process | None = None

    def __enter__(self) -> Self:
        process = self.place.start("nginx", *self._command)
        self._process = process

        def listening() -> bool:
            process.check_running()
            return (self.folder / "nginx.pid").exists() and bool(
                self.place.run("ss", "-Htln", "sport = 80").stdout
            )

        try:
            wait_until(listening, f"nginx listened in {self.place.name}")
        except BaseException:
            process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.stop()

    def requests(self) -> list[dict[str, Any]]:
        """What its access log says, one entry a request that has ended."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [json.loads(line) for line in lines]
