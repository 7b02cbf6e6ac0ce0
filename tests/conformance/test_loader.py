# SPDX-License-Identifier: Apache-2.0
"""Loading the pipeline: compiled once, refused whole, one sentence for what goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dataplane.bpf import sys as bpf
from dataplane.bpf.compiled import cache_folder
from dataplane.bpf.headers import find_headers
from dataplane.bpf.hook import Hook
from dataplane.bpf.pipeline import PipelineError, PipelineSpec, ensure_pipeline
from tools.lab import cleanup
from tools.vectors.bpf_target import P4INFO

EXIT_WITHOUT_VALUE = {"instructions": "lQAAAAAAAAA=", "references": {}}


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[PipelineSpec]:
    pins = cleanup.PINS / cleanup.unique_name()
    yield PipelineSpec(P4INFO, pins, tmp_path / "state", {}, frozenset(Hook))
    shutil.rmtree(pins, ignore_errors=True)


@pytest.fixture
def without_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text("raise RuntimeError('no compiler here')\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture(scope="module")
def shared_cache() -> Path:
    return cache_folder()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own. Kernel headers are in it: to lay 17,000 links takes seconds."""
    headers = find_headers()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_folder().mkdir(mode=0o700)
    (cache_folder() / headers.name).symlink_to(headers)
    return cache_folder()


@pytest.fixture
def cached(spec: PipelineSpec, empty_cache: Path, shared_cache: Path) -> Path:
    """What this machine has compiled, in a cache of the test's own."""
    for file in shared_cache.glob("programs-*.json"):
        shutil.copy2(file, empty_cache)
    asyncio.run(ensure_pipeline(spec))
    shutil.rmtree(spec.pins)
    return max(empty_cache.glob("programs-*.json"), key=lambda file: file.stat().st_mtime)


def programs(spec: PipelineSpec) -> list[str]:
    return sorted(path.name for path in (spec.pins / "programs").iterdir())


def pinned_map(spec: PipelineSpec, name: str) -> bpf.MapInfo:
    descriptor = bpf.object_get(spec.maps / name)
    try:
        return bpf.map_info(descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture
def compiled(cached: Path, without_compiler: None) -> Path:
    """The same, and no compiler from now on."""
    return cached


def test_what_was_compiled_before_is_not_compiled_again(spec: PipelineSpec, compiled: Path) -> None:
    asyncio.run(ensure_pipeline(spec))
    assert [name.partition("_steps")[0] for name in programs(spec)] == ["tc", "tc", "xdp", "xdp"]
    assert compiled.exists()


@pytest.mark.usefixtures("without_compiler", "empty_cache")
def test_without_a_compiler_nothing_stays_behind(spec: PipelineSpec) -> None:
    with pytest.raises(PipelineError, match="do not compile"):
        asyncio.run(ensure_pipeline(spec))
    assert programs(spec) == []
    assert list(spec.maps.iterdir()) == []
    assert "no compiler here" in spec.log.read_text()


def test_a_refused_program_is_explained_and_its_maps_are_taken_away(spec: PipelineSpec, cached: Path) -> None:
    content = json.loads(cached.read_text())
    content["tc"]["programs"]["moorline_tc"] = EXIT_WITHOUT_VALUE
    cached.write_text(json.dumps(content))
    with pytest.raises(PipelineError, match="refuses the tc program") as raised:
        asyncio.run(ensure_pipeline(spec))
    assert str(spec.log) in str(raised.value)
    assert "R0 !read_ok" in spec.log.read_text()
    assert programs(spec) == []
    assert list(spec.maps.iterdir()) == []


def test_pinned_maps_of_another_shape_are_refused_and_left(spec: PipelineSpec) -> None:
    asyncio.run(ensure_pipeline(spec))
    before = sorted(path.name for path in spec.maps.iterdir())
    smaller = bpf.create_map("scid", replace(pinned_map(spec, "scid"), max_entries=1 << 15))
    bpf.object_pin(smaller, spec.maps / "scid")  # as a version with another size made it
    os.close(smaller)
    (spec.pins / "programs" / "xdp").unlink()
    with pytest.raises(PipelineError, match=r"the map scid.* has 32768 elements of 64 octets than"):
        asyncio.run(ensure_pipeline(spec))
    assert sorted(path.name for path in spec.maps.iterdir()) == before
    assert pinned_map(spec, "scid").max_entries == 1 << 15


def test_steps_of_a_former_version_stay_until_they_are_given_up(spec: PipelineSpec) -> None:
    former = asyncio.run(ensure_pipeline(spec))
    old = spec.steps(Hook.XDP, former.generation)
    (spec.pins / "programs" / "xdp").unlink()
    present = asyncio.run(ensure_pipeline(spec))
    new = spec.steps(Hook.XDP, present.generation)
    assert old.exists()
    assert new.exists()
    present.forget_former()
    assert not old.exists()
    assert new.exists()
    assert asyncio.run(ensure_pipeline(spec)).generation == present.generation, "it is whole"


def test_only_programs_for_the_hooks_of_the_ports_are_loaded(spec: PipelineSpec) -> None:
    only_tc = replace(spec, hooks={Hook.TC})
    first = asyncio.run(ensure_pipeline(only_tc))
    assert [name.partition("_steps")[0] for name in programs(spec)] == ["tc", "tc"]
    asyncio.run(ensure_pipeline(spec)).forget_former()
    assert [name.partition("_steps")[0] for name in programs(spec)] == ["tc", "tc", "xdp", "xdp"]
    last = asyncio.run(ensure_pipeline(only_tc))
    assert last.digest == first.digest
    assert "xdp" in programs(spec), "whole, what is not wanted any more stays until the next load"
