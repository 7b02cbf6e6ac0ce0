# SPDX-License-Identifier: Apache-2.0
"""The pinned pipeline: has it made when it is not there or not the one wanted, and opens it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from dataplane.bpf import sys as bpf
from dataplane.bpf.events import EventCounters
from dataplane.bpf.hook import Hook
from dataplane.bpf.manifest import (
    PipelineError,
    PipelineSpec,
    digest_of,
    hits_of,
    index_of,
    maps_of,
    masks_of,
    order_of,
    read_manifest,
    rest_of,
)
from dataplane.bpf.table_map import TableMap, TableMemory, open_table
from dataplane.contract.layout import Layout, TableShape, shape_from_json

__all__ = ["Pipeline", "PipelineError", "PipelineSpec", "ensure_pipeline", "open_pipeline"]

log = structlog.get_logger(__name__)

_LOADER: Final = "dataplane.bpf.loader"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A loaded pipeline. Maps are shared memory; what is written is in force at once."""

    spec: PipelineSpec
    digest: str
    generation: str
    shapes: Mapping[str, TableShape]
    tables: Mapping[str, TableMap]
    port_events: EventCounters
    ports: memoryview
    port_ifindex: memoryview
    packet_in_fd: int
    digests_fd: int
    unresolved_fd: int

    def program_path(self, hook: Hook) -> str:
        """Where the program for a hook that the pipeline was made for is pinned."""
        return str(self.spec.program(hook))

    def forget_former(self) -> None:
        """Give up the steps of former versions, once no interface has a program that goes on with them."""
        kept = {self.spec.steps(hook, self.generation) for hook in self.spec.hooks}
        for hook in Hook:
            steps = self.spec.steps(hook, "*")
            for path in set(steps.parent.glob(steps.name)) - kept:
                path.unlink(missing_ok=True)


async def ensure_pipeline(spec: PipelineSpec) -> Pipeline:
    """The pipeline that ``spec`` wants: taken over as it is where possible, else compiled and loaded.

    Maps and their contents outlive both; a program that is attached somewhere goes on until another is put
    there.

    Raises:
        MoorlineError: it cannot be had, with the reason.
    """
    manifest = read_manifest(spec.manifest)
    if manifest is None or manifest["digest"] != digest_of(spec) or not _is_pinned(spec, manifest):
        await _load(spec)
    return open_pipeline(spec)


def open_pipeline(spec: PipelineSpec) -> Pipeline:
    """The pipeline that is pinned.

    Raises:
        MoorlineError: it is not there, or not whole.
    """
    manifest = read_manifest(spec.manifest)
    if manifest is None:
        raise PipelineError(f"{spec.manifest} is missing or damaged; start the node to make it anew")
    shapes = {name: shape_from_json(name, table) for name, table in manifest["tables"].items()}
    try:
        tables = {name: _open_table(spec, shape) for name, shape in shapes.items()}
        return Pipeline(
            spec=spec,
            digest=manifest["digest"],
            generation=manifest["generation"],
            shapes=shapes,
            tables=tables,
            port_events=EventCounters(bpf.object_get(spec.maps / "port_events")),
            ports=_memory(spec, "ports"),
            port_ifindex=_memory(spec, "port_ifindex"),
            packet_in_fd=bpf.object_get(spec.maps / "packet_in"),
            digests_fd=bpf.object_get(spec.maps / "digests"),
            unresolved_fd=bpf.object_get(spec.maps / "unresolved"),
        )
    except OSError as error:
        raise PipelineError(
            f"the pinned pipeline in {spec.pins} cannot be opened ({error.strerror}, {error.filename}); "
            "run as root"
        ) from error


async def _load(spec: PipelineSpec) -> None:
    log.info("pipeline_loading", pins=str(spec.pins))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _LOADER,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    output, errors = await process.communicate(spec.to_json().encode())
    answer = _answer(output)
    if answer is None:
        reason = errors.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise PipelineError(f"the loader ended with code {process.returncode} ({reason[0]}); see {spec.log}")
    if "error" in answer:
        raise PipelineError(answer["error"])
    log.info("pipeline_loaded", pins=str(spec.pins))


def _answer(output: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(output)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _is_pinned(spec: PipelineSpec, manifest: Mapping[str, Any]) -> bool:
    layouts = {name: (table["layout"], table["hits"]) for name, table in manifest["tables"].items()}
    paths = [spec.maps / name for name in maps_of(layouts)] + [spec.program(hook) for hook in spec.hooks]
    paths += [spec.steps(hook, manifest["generation"]) for hook in spec.hooks]
    return all(path.exists() for path in paths)


def _open_table(spec: PipelineSpec, shape: TableShape) -> TableMap:
    name, layout = shape.name, shape.layout
    ternary = layout is Layout.TERNARY
    elements = _memory(spec, name)
    return open_table(
        shape,
        TableMemory(
            elements,
            elements if shape.rest_size else _memory(spec, hits_of(name)),
            _memory(spec, index_of(name)) if layout.has_index else None,
            _memory(spec, masks_of(name)) if ternary else None,
            _memory(spec, order_of(name)) if ternary else None,
            _memory(spec, rest_of(name)) if shape.rest_size else None,
        ),
    )


def _memory(spec: PipelineSpec, name: str) -> memoryview:
    fd = bpf.object_get(spec.maps / name)
    try:
        return memoryview(bpf.map_memory(fd))
    finally:
        os.close(fd)
