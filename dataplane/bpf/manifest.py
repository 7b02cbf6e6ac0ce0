# SPDX-License-Identifier: Apache-2.0
"""What a loaded pipeline is: the file ``pipeline.json``, and the digest of all that it was made from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dataplane.bpf import sys as bpf
from dataplane.bpf.hook import Hook
from dataplane.bpf.source import SOURCES
from dataplane.contract.layout import EXTRA_ELEMENTS, WAYS, Layout
from moorline.errors import MoorlineError
from moorline.wire import Event

FILE_NAME: Final = "pipeline.json"
SOURCES_OF_PROGRAMS: Final = ("xdp", "tc", "xdp_path", "tc_path")
"""The C sources ``ebpf/moorline_<name>.c``."""

STEPS: Final = {
    Hook.XDP: ("node", "peer", "edge", "device", "class", "hop", "route"),
    Hook.TC: ("access",),
}
"""Programs that the one for a hook goes on with, by their places in the array ``<hook>_steps``."""

OWN_MAPS: Final = ("journeys", *(f"{hook}_steps" for hook in STEPS))
"""Maps that each load makes anew: programs of two versions never share them."""

OTHER_MAPS: Final = (
    *("ports", "port_ifindex", "port_events", "scratch_memory"),
    *("packet_in", "digests", "digest_told", "trace_burst", "flow_cache"),
    *("unresolved", "unresolved_burst"),
)
"""Maps that are no table of the contract."""


INSIDE: Final = "inside"
"""The kind of hits that are counted in the elements themselves (``ebpf/layouts.h``)."""


class PipelineError(MoorlineError):
    """A pipeline that cannot be compiled, loaded, taken over or opened."""


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """Which pipeline is wanted and where it lives.

    ``pins`` is a directory in a BPF file system, ``state`` an ordinary one. ``sizes`` gives tables another
    number of entries than the P4 program does. Programs are loaded for ``hooks``: the verifier takes its time
    over each.
    """

    p4info: Path
    pins: Path
    state: Path
    sizes: Mapping[str, int]
    hooks: Set[Hook]

    @property
    def maps(self) -> Path:
        """Where the maps are pinned."""
        return self.pins / "maps"

    @property
    def programs(self) -> Path:
        """Where the programs and their steps are pinned."""
        return self.pins / "programs"

    @property
    def manifest(self) -> Path:
        """The file that describes what is pinned."""
        return self.state / FILE_NAME

    @property
    def log(self) -> Path:
        """What compiler and verifier said."""
        return self.state / "pipeline.log"

    def program(self, hook: Hook) -> Path:
        """Where the program for a hook is pinned."""
        return self.programs / hook

    def steps(self, hook: Hook, generation: str) -> Path:
        """Where an array of steps is pinned, which the kernel empties when nothing but programs holds it."""
        return self.programs / f"{hook}_steps_{generation}"

    def to_json(self) -> str:
        """The request that the loader reads."""
        return json.dumps(asdict(self) | {"hooks": sorted(self.hooks)}, default=str)

    @classmethod
    def from_json(cls, text: str) -> PipelineSpec:
        """What ``to_json`` wrote."""
        fields = json.loads(text)
        p4info, pins, state = (Path(fields[name]) for name in ("p4info", "pins", "state"))
        return cls(p4info, pins, state, fields["sizes"], frozenset(map(Hook, fields["hooks"])))


def buckets_of(size: int) -> int:
    """Buckets of an assoc table's index: a power of two with at least two ways an entry."""
    needed = max(2, -(-size * 2 // WAYS))
    return 1 << (needed - 1).bit_length()


def elements_of(layout: str, size: int) -> int:
    """Elements of a table's array."""
    return size + (EXTRA_ELEMENTS if Layout(layout).has_index else 0)


def hits_rows_of(hits: str) -> int:
    """Rows of counters of a table: the agent's, and one for each CPU or (``shared``) one for all."""
    return 1 + (bpf.possible_cpus() if hits == "cpu" else 1)


def maps_of(tables: Mapping[str, tuple[str, str]]) -> list[str]:
    """Names of all maps of a pipeline; ``tables`` gives layout and kind of hits of each table."""
    layouts = {name: Layout(layout) for name, (layout, _) in tables.items()}
    beside = [beside_of(name, hits) for name, (_, hits) in tables.items()]
    indexes = [index_of(name) for name, layout in layouts.items() if layout.has_index]
    ternary = [name for name, layout in layouts.items() if layout is Layout.TERNARY]
    orders = [map_name for name in ternary for map_name in (masks_of(name), order_of(name))]
    return [*tables, *beside, *indexes, *orders, *OTHER_MAPS]


def beside_of(table: str, hits: str) -> str:
    """Name of the map that has the same elements: of counters or, where these are inside, of the rest."""
    return rest_of(table) if hits == INSIDE else hits_of(table)


def hits_of(table: str) -> str:
    """Name of the map with a table's direct counters."""
    return f"{table}_hits"


def rest_of(table: str) -> str:
    """Name of the map with the parameters that a table's own elements have no room for."""
    return f"{table}_rest"


def index_of(table: str) -> str:
    """Name of the map with a table's index."""
    return f"{table}_index"


def masks_of(table: str) -> str:
    """Name of the map with a ternary table's masks."""
    return f"{table}_masks"


def order_of(table: str) -> str:
    """Name of the map that says in which order a ternary table's masks are tried."""
    return f"{table}_order"


def digest_of(spec: PipelineSpec) -> str:
    """Changes with anything that a compiled pipeline depends on.

    Raises:
        PipelineError: a file cannot be read.
    """
    machine = [os.uname().release, bpf.possible_cpus()]
    parts: list[Any] = [machine, sorted(spec.sizes.items()), [(e.name, e.value) for e in Event]]
    content = hashlib.sha256(json.dumps(parts).encode())
    try:
        for path in (spec.p4info, *sorted(SOURCES.glob("*.[ch]"))):
            content.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    except OSError as error:
        raise PipelineError(
            f"{error.filename} cannot be read ({error.strerror}); install Moorline again"
        ) from None
    return content.hexdigest()


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The contents of ``pipeline.json``; none if it is missing or damaged."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "digest" in content else None


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Writes ``pipeline.json``, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)
