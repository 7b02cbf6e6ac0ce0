# SPDX-License-Identifier: Apache-2.0
"""Loads and pins the pipeline: ``python -m dataplane.bpf.loader``, in a process of its own.

A ``PipelineSpec`` comes as JSON on the standard input; the answer on the standard output is a JSON object,
``{}`` or ``{"error": sentence}``. What this machine has not compiled before is compiled first, all sources
at once. Maps that are pinned already are taken over with what they hold, or refused when their shape has
changed. Programs are replaced in one step each.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from dataplane.bpf import explain
from dataplane.bpf import sys as bpf
from dataplane.bpf.compiled import Cache, Compiled, Program, cache_folder
from dataplane.bpf.headers import find_headers
from dataplane.bpf.hook import Hook
from dataplane.bpf.manifest import (
    INSIDE,
    OWN_MAPS,
    SOURCES_OF_PROGRAMS,
    STEPS,
    PipelineError,
    PipelineSpec,
    buckets_of,
    digest_of,
    elements_of,
    hits_rows_of,
    maps_of,
    read_manifest,
    rest_of,
    write_manifest,
)
from dataplane.bpf.source import SOURCES, TableDeclaration, declared_tables, joined
from dataplane.contract.layout import MASKS, ORDERS, Layout
from dataplane.contract.p4info import P4Info, load_p4info
from moorline.errors import MoorlineError
from moorline.wire import Event

_COMPILER: Final = "dataplane.bpf.compiler"
_KINDS: Final = {Hook.XDP: 6, Hook.TC: 3}
"""BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS."""

_SHAPE: Final = ("layout", "hits_rows", "leaf_desc", "rest_desc", "actions")
"""What of a table in ``pipeline.json`` says how its maps are read."""

_FLAGS: Final = ("-Wall", "-Werror", "-Wno-unused-function", "-fno-strict-aliasing")
"""Keys and headers are read as words of another size than they are written, as all over the kernel."""


def load(spec: PipelineSpec) -> None:
    """Makes what ``spec`` names and writes ``pipeline.json``.

    Raises:
        MoorlineError: it cannot be made; what was pinned before is as it was.
    """
    digest = digest_of(spec)
    contract = load_p4info(spec.p4info, spec.sizes)
    sources = {name: joined(SOURCES / f"moorline_{name}.c") for name in SOURCES_OF_PROGRAMS}
    declared = declared_tables(sources["xdp"])
    _check_tables(contract, declared)
    flags = [*_FLAGS, *constants(contract, declared)]
    cache = Cache(cache_folder(), [*flags, *sources.values()])
    compiled = cache.read() or _compile_once(cache, flags, spec)
    tables = describe(compiled["xdp"], contract, declared)
    _check_former(tables, read_manifest(spec.manifest))
    names = maps_of(declared)
    there = {name for name in names if (spec.maps / name).exists()}
    made = {name: info for part in compiled.values() for name, info in part.maps.items()}
    try:
        maps = {name: _map(name, made[name], spec.maps / name) for name in names}
        maps |= {name: bpf.create_map(name, made[name]) for name in OWN_MAPS}
        for hook in spec.hooks:
            _fill_steps(hook, compiled[f"{hook}_path"], maps, spec)
        programs = {hook: _load(compiled[hook], hook, maps, spec) for hook in spec.hooks}
    except BaseException:
        for name in set(names) - there:
            (spec.maps / name).unlink(missing_ok=True)
        raise
    # The steps of the former version stay until no interface has a program that goes on with them.
    generation = secrets.token_hex(4)
    for hook in spec.hooks:
        bpf.object_pin(maps[f"{hook}_steps"], spec.steps(hook, generation))
    for hook, fd in programs.items():
        bpf.object_pin(fd, spec.program(hook))
    for hook in set(Hook) - spec.hooks:
        spec.program(hook).unlink(missing_ok=True)
    manifest = {"digest": digest, "kernel": os.uname().release, "generation": generation, "tables": tables}
    write_manifest(spec.manifest, manifest)


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


def constants(contract: P4Info, declared: Mapping[str, TableDeclaration]) -> list[str]:
    """The numbers of the contract, as the C sources expect them on the command line."""
    values = {f"EVENT_{event.name}": event.value for event in Event}
    values |= {f"ACTION_{action.name}": action.id for action in contract.actions.values()}
    values |= {f"DIGEST_{digest.name}": digest.id for digest in contract.digests.values()}
    for table in contract.tables.values():
        values[f"SIZE_{table.name}"] = table.size
        values[f"ELEMENTS_{table.name}"] = elements_of(declared[table.name].layout, table.size)
        values[f"BUCKETS_{table.name}"] = buckets_of(table.size)
    for hook, steps in STEPS.items():
        values |= {f"{hook.upper()}_STEP_{name}": place for place, name in enumerate(steps)}
        values[f"{hook.upper()}_STEPS"] = len(steps)
    values |= {"CPUS": bpf.possible_cpus(), "MASKS": MASKS, "ORDERS": ORDERS}
    return [f"-D{name}={value}" for name, value in values.items()]


def _compile_once(cache: Cache, flags: list[str], spec: PipelineSpec) -> dict[str, Compiled]:
    """What another process compiles at this moment is waited for."""
    with cache.locked():
        compiled = cache.read()
        if compiled is None:
            compiled = _compile(flags, spec)
            cache.write(compiled)
    return compiled


def _compile(flags: list[str], spec: PipelineSpec) -> dict[str, Compiled]:
    if os.geteuid():
        raise PipelineError("the BPF programs can be loaded only by root; run as root")
    if find_spec("bcc") is None:
        raise PipelineError("BCC is missing, which compiles the BPF programs; apt install python3-bpfcc")
    environment = {**os.environ, "BCC_KERNEL_SOURCE": str(find_headers())}
    commands = {name: [sys.executable, "-m", _COMPILER, name, *flags] for name in SOURCES_OF_PROGRAMS}
    compilers = {
        name: subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        for name, command in commands.items()
    }
    answers = {name: compiler.communicate()[0] for name, compiler in compilers.items()}
    if any(compiler.returncode for compiler in compilers.values()):
        raise PipelineError(explain.compiler_failure(_log(spec), spec.log))
    return {name: Compiled.from_json(json.loads(answer)) for name, answer in answers.items()}


def _map(name: str, wanted: bpf.MapInfo, path: Path) -> int:
    """The map that is pinned, taken over with what it holds, or a new one."""
    if not path.exists():
        fd = bpf.create_map(name, wanted)
        bpf.object_pin(fd, path)
        return fd
    fd = bpf.object_get(path)
    found = bpf.map_info(fd)
    if found != wanted:
        raise _changed(name, f"{found.max_entries} elements of {found.value_size} octets", path)
    return fd


def _fill_steps(hook: Hook, compiled: Compiled, maps: Mapping[str, int], spec: PipelineSpec) -> None:
    for function, program in compiled.programs.items():
        place = STEPS[hook].index(function.removeprefix(f"moorline_{hook}_"))
        fd = _load_program(program, hook, function, maps, spec)
        bpf.update(maps[f"{hook}_steps"], place, fd.to_bytes(4, sys.byteorder))


def _load(compiled: Compiled, hook: Hook, maps: Mapping[str, int], spec: PipelineSpec) -> int:
    function = f"moorline_{hook}"
    return _load_program(compiled.programs[function], hook, function, maps, spec)


def _load_program(
    program: Program, hook: Hook, name: str, maps: Mapping[str, int], spec: PipelineSpec
) -> int:
    instructions = bytearray(program.instructions)
    for at, wanted in program.references.items():
        instructions[at * 8 + 4 : at * 8 + 8] = maps[wanted].to_bytes(4, sys.byteorder)
    try:
        return bpf.load_program(_KINDS[hook], name, bytes(instructions))
    except bpf.ProgramRefusedError as error:
        sys.stderr.write(error.log)
        what = name.removeprefix("moorline_")
        raise PipelineError(explain.verifier_failure(error.log, what, str(error), spec.log)) from error


def _log(spec: PipelineSpec) -> str:
    sys.stderr.flush()
    return spec.log.read_text(errors="replace")


def describe(
    compiled: Compiled, contract: P4Info, declared: Mapping[str, TableDeclaration]
) -> dict[str, Any]:
    """What ``pipeline.json`` says of each table."""
    tables = {}
    for table in contract.tables.values():
        layout, hits = declared[table.name]
        tables[table.name] = {
            "layout": layout,
            "capacity": table.size,
            "elements": elements_of(layout, table.size),
            "buckets": buckets_of(table.size) if Layout(layout).has_index else 0,
            "hits": hits,
            "hits_rows": hits_rows_of(hits),
            "value_size": compiled.maps[table.name].value_size,
            "leaf_desc": compiled.values[table.name],
            "rest_desc": compiled.values[rest_of(table.name)] if hits == INSIDE else None,
            "actions": {action.name: action.id for action in table.actions.values()},
        }
    return tables


def _check_former(tables: Mapping[str, Any], former: Mapping[str, Any] | None) -> None:
    """A map whose fields or actions moved would be read wrongly, though its size be the same."""
    for name, table in tables.items():
        before = (former or {}).get("tables", {}).get(name)
        if before and any(before.get(part) != table[part] for part in _SHAPE):
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
        for folder in (spec.state, spec.maps, spec.programs):
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
