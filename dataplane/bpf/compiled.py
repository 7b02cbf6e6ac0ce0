# SPDX-License-Identifier: Apache-2.0
"""Compiled programs, and the cache that spares a machine to compile the same ones again."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dataplane.bpf.sys import MapInfo

KEPT: Final = 8
"""Files that stay in the cache, the latest used."""

_OTHERS_MAY_WRITE: Final = 0o022


@dataclass(frozen=True, slots=True)
class Program:
    """A program as the compiler made it.

    ``instructions`` are the kernel's, 8 octets each; ``references`` gives the map that an instruction loads,
    by the instruction's number.
    """

    instructions: bytes
    references: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The programs of a source by the names of their functions, and all its maps.

    ``values`` describes what the elements of each map hold, as BCC does.
    """

    programs: Mapping[str, Program]
    maps: Mapping[str, MapInfo]
    values: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """An object that ``from_json`` reads."""
        return {
            "programs": {name: _to_json(program) for name, program in self.programs.items()},
            "maps": {name: asdict(info) for name, info in self.maps.items()},
            "values": dict(self.values),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Compiled:
        """What ``to_json`` wrote."""
        return cls(
            {name: _from_json(program) for name, program in content["programs"].items()},
            {name: MapInfo(**info) for name, info in content["maps"].items()},
            content["values"],
        )


def _to_json(program: Program) -> dict[str, Any]:
    return {
        "instructions": base64.b64encode(program.instructions).decode(),
        "references": {str(at): name for at, name in program.references.items()},
    }


def _from_json(content: Mapping[str, Any]) -> Program:
    references = {int(at): name for at, name in content["references"].items()}
    return Program(base64.b64decode(content["instructions"]), references)


def cache_folder() -> Path:
    """Where this user's caches of Moorline are."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "moorline"


class Cache:
    """Compiled programs by all that the compiler was given."""

    def __init__(self, folder: Path, inputs: Iterable[str]) -> None:
        content = json.dumps([os.uname().release, *inputs])
        self._path = folder / f"programs-{hashlib.sha256(content.encode()).hexdigest()}.json"

    def read(self) -> dict[str, Compiled] | None:
        """What each source came to; none if it is not there, damaged, or could be somebody else's."""
        try:
            if not (_is_ours(self._path.parent) and _is_ours(self._path)):
                return None
            content = json.loads(self._path.read_text())
            compiled = {source: Compiled.from_json(part) for source, part in content.items()}
            self._path.touch()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return compiled

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time compile. Without a folder that can be written nobody waits."""
        with ExitStack() as stack:
            with suppress(OSError):
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, folder)
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield

    def write(self, compiled: Mapping[str, Compiled]) -> None:
        """Keep what was compiled. A cache that cannot be written is done without."""
        fresh = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps({source: part.to_json() for source, part in compiled.items()}))
            fresh.replace(self._path)
            self._prune()
        except OSError:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def _prune(self) -> None:
        files = sorted(self._path.parent.glob("programs-*.json"), key=lambda file: -file.stat().st_mtime)
        for file in files[KEPT:]:
            file.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether nobody else can have written it: what is in it goes into the kernel."""
    status = path.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE
