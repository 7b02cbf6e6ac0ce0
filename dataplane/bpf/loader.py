# SPDX-License-Identifier: Apache-2.0
"""Compiles, loads and pins the pipeline: ``python -m dataplane.bpf.loader``, in a process of its own.

The compiler is large, and the agent needs it only when something changed. A ``PipelineSpec`` comes as JSON on
the standard input; the answer on the standard output is a JSON object, ``{}`` or ``{"error": sentence}``.
Maps that are pinned already are taken over with what they hold, or refused when their shape has changed.
Programs are replaced in one step each.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplane.bpf import explain
from dataplane.bpf import sys as bpf
from dataplane.bpf.headers import find_headers
from dataplane.bpf.manifest import (
    PROGRAMS,
    PipelineError,
    PipelineSpec,
    buckets_of,
    digest_of,
    elements_of,
    hits_rows_of,
    maps_of,
    read_manifest,
    write_manifest,
)
from dataplane.bpf.source import SOURCES, TableDeclaration, declared_tables, joined
from dataplane.contract.layout import Layout
from dataplane.contract.p4info import P4Info, load_p4info
from moorline.errors import MoorlineError
from moorline.wire import Event

if TYPE_CHECKING:
    from bcc import BPF

_SHAPE: Final = ("layout", "hits_rows", "leaf_desc", "actions")
"""What of a table in ``pipeline.json`` says how its maps are read."""

_FLAGS: Final = ("-Wall", "-Werror", "-Wno-unused-function")


def load(spec: PipelineSpec) -> None:
    """Makes what ``spec`` names and writes ``pipeline.json``.

    Raises:
        MoorlineError: it cannot be made; what was pinned before is as it was.
    """
    digest = digest_of(spec)
    contract = load_p4info(spec.p4info, spec.sizes)
    declared = declared_tables(joined(SOURCES / "moorline_xdp.c"))
    _check_tables(contract, declared)
    names = maps_of({name: table.layout for name, table in declared.items()})
    there = {name for name in names if (spec.maps / name).exists()}
    os.environ["BCC_KERNEL_SOURCE"] = str(find_headers())
    flags = [*_FLAGS, *_constants(contract, declared, spec)]
    try:
        manifest = _make(spec, contract, declared, names, flags)
    except BaseException:
        for name in set(names) - there:
            (spec.maps / name).unlink(missing_ok=True)
        raise
    write_manifest(spec.manifest, {"digest": digest, **manifest})


def _make(
    spec: PipelineSpec,
    contract: P4Info,
    declared: Mapping[str, TableDeclaration],
    names: list[str],
    flags: list[str],
) -> dict[str, Any]:
    modules = {hook: _compile(hook, flags, spec) for hook in PROGRAMS}
    tables = _describe(modules["xdp"], contract, declared)
    _check_taken_over(modules["xdp"], names, spec)
    _check_former(tables, read_manifest(spec.manifest))
    programs = {hook: _load(modules[hook], hook, spec) for hook in PROGRAMS}
    for hook, fd in programs.items():
        bpf.object_pin(fd, spec.program(hook))
    return {"kernel": os.uname().release, "tables": tables}


def _check_tables(contract: P4Info, declared: Mapping[str, TableDeclaration]) -> None:
    wanted = {table.name: table.size for table in contract.tables.values()}
    if missing := sorted(wanted.keys() ^ declared.keys()):
        raise PipelineError(
            f"table {missing[0]} is not both in the P4 program and in the C sources; make the two agree"
        )
    for name, size in wanted.items():
        if declared[name].layout == Layout.SLOT.value and size & (size - 1):
            raise PipelineError(
                f"table {name} has {size} entries; give it a power of two, as its layout needs"
            )


def _constants(contract: P4Info, declared: Mapping[str, TableDeclaration], spec: PipelineSpec) -> list[str]:
    """The numbers of the contract, as the C sources expect them on the command line."""
    values: dict[str, int | str] = {f"EVENT_{event.name}": event.value for event in Event}
    values |= {f"ACTION_{action.name}": action.id for action in contract.actions.values()}
    for table in contract.tables.values():
        values[f"SIZE_{table.name}"] = table.size
        values[f"ELEMENTS_{table.name}"] = elements_of(declared[table.name].layout, table.size)
        values[f"BUCKETS_{table.name}"] = buckets_of(table.size)
    values["CPUS"] = bpf.possible_cpus()
    values["PIN_DIR"] = f'"{spec.maps}"'
    return [f"-D{name}={value}" for name, value in values.items()]


def _compile(hook: str, flags: list[str], spec: PipelineSpec) -> BPF:
    from bcc import BPF  # noqa: PLC0415  (only here, after the environment is set)

    source = joined(SOURCES / f"moorline_{hook}.c")
    try:
        return BPF(text=source, cflags=flags)
    except Exception as error:  # BCC raises the base class itself
        if os.geteuid():
            raise PipelineError("the BPF programs can be loaded only by root; run as root") from error
        raise PipelineError(explain.compiler_failure(_log(spec), spec.log)) from error


def _load(module: BPF, hook: str, spec: PipelineSpec) -> int:
    from bcc import BPF  # noqa: PLC0415

    kinds = {"xdp": BPF.XDP, "tc": BPF.SCHED_CLS}
    try:
        return int(module.load_func(f"moorline_{hook}", kinds[hook]).fd)
    except Exception as error:
        raise PipelineError(explain.verifier_failure(_log(spec), hook, str(error), spec.log)) from error


def _log(spec: PipelineSpec) -> str:
    sys.stderr.flush()
    return spec.log.read_text(errors="replace")


def _describe(module: BPF, contract: P4Info, declared: Mapping[str, TableDeclaration]) -> dict[str, Any]:
    """What ``pipeline.json`` says of each table."""
    from bcc.libbcc import lib  # noqa: PLC0415

    tables = {}
    for table in contract.tables.values():
        layout, hits = declared[table.name]
        name = table.name.encode()
        tables[table.name] = {
            "layout": layout,
            "capacity": table.size,
            "elements": elements_of(layout, table.size),
            "buckets": buckets_of(table.size) if layout == Layout.ASSOC.value else 0,
            "hits_rows": hits_rows_of(hits),
            "value_size": int(lib.bpf_table_leaf_size(module.module, name)),
            "leaf_desc": json.loads(lib.bpf_table_leaf_desc(module.module, name)),
            "actions": {action.name: action.id for action in table.actions.values()},
        }
    return tables


def _check_taken_over(module: BPF, names: list[str], spec: PipelineSpec) -> None:
    """BCC takes a pinned map for what the source declares; whether it is, is seen only here."""
    from bcc.libbcc import lib  # noqa: PLC0415

    for name in names:
        number = lib.bpf_table_id(module.module, name.encode())
        info = bpf.map_info(lib.bpf_table_fd_id(module.module, number))
        entries = lib.bpf_table_max_entries_id(module.module, number)
        octets = lib.bpf_table_leaf_size_id(module.module, number)
        ring = info.value_size == 0
        if info.max_entries != entries or (not ring and info.value_size != octets):
            raise _changed(name, f"{info.max_entries} elements of {info.value_size} octets", spec.maps / name)


def _check_former(tables: Mapping[str, Any], former: Mapping[str, Any] | None) -> None:
    """A map whose fields or actions moved would be read wrongly, though its size be the same."""
    for name, table in tables.items():
        before = (former or {}).get("tables", {}).get(name)
        if before and any(before[part] != table[part] for part in _SHAPE):
            raise _changed(name, "other fields or actions", None)


def _changed(name: str, what: str, path: Path | None) -> PipelineError:
    where = f" ({path})" if path else ""
    return PipelineError(
        f"the map {name} that is pinned already{where} has {what} than this version wants; "
        "remove the pins to begin anew, or keep the version that made it"
    )


def _prepare(spec: PipelineSpec) -> None:
    """Makes the directories and sends what the compiler says to the log."""
    try:
        for folder in (spec.state, spec.maps, spec.program("xdp").parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    except OSError as error:
        raise PipelineError(
            f"{error.filename} cannot be made ({error.strerror}); run as root, and with a BPF file system "
            "mounted at /sys/fs/bpf"
        ) from None
    os.dup2(log, 2)


def main() -> int:
    """Reads the request, answers, and returns the exit code."""
    answer = os.fdopen(os.dup(1), "w")
    result: dict[str, str] = {}
    try:
        spec = PipelineSpec.from_json(sys.stdin.read())
        _prepare(spec)
        os.dup2(2, 1)
        load(spec)
    except MoorlineError as error:
        result = {"error": str(error)}
    except OSError as error:
        result = {"error": f"the pipeline cannot be loaded: {error.strerror} ({error.filename})"}
    json.dump(result, answer)
    answer.flush()
    return 1 if result else 0


if __name__ == "__main__":
    sys.exit(main())
