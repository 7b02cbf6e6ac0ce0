# SPDX-License-Identifier: Apache-2.0
"""The cache of compiled programs gives back what was put in, or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest

from dataplane.bpf.compiled import KEPT, Cache, Compiled, Program
from dataplane.bpf.sys import MapInfo

PROGRAMS = {
    source: Compiled(
        {f"moorline_{source}": Program(bytes(range(16)), {1: "scid"})},
        {"scid": MapInfo(2, 4, 64, 65536, 1024)},
        {"scid": ["a", ["b"]]},
    )
    for source in ("xdp", "tc")
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "moorline"


def stored(folder: Path) -> Path:
    Cache(folder, ["x"]).write(PROGRAMS)
    (file,) = folder.iterdir()
    return file


def test_programs_come_back(folder: Path) -> None:
    assert Cache(folder, ["x"]).read() is None
    stored(folder)
    assert Cache(folder, ["x"]).read() == PROGRAMS


def test_other_inputs_are_other_programs(folder: Path) -> None:
    stored(folder)
    assert Cache(folder, ["y"]).read() is None
    assert Cache(folder, ["x", ""]).read() is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"xdp": {}}', '{"xdp": 1}', '{"xdp": {"maps": {"a": {}}}}']
)
def test_a_damaged_file_is_no_file(content: str, folder: Path) -> None:
    stored(folder).write_text(content)
    assert Cache(folder, ["x"]).read() is None


def test_what_others_may_have_written_does_not_reach_the_kernel(folder: Path) -> None:
    file = stored(folder)
    for path, wrong, right in ((file, 0o620, 0o600), (file, 0o602, 0o600), (folder, 0o777, 0o700)):
        path.chmod(wrong)
        assert Cache(folder, ["x"]).read() is None
        path.chmod(right)
    assert Cache(folder, ["x"]).read() == PROGRAMS
    if os.geteuid() == 0:
        os.chown(file, 12345, -1)
        assert Cache(folder, ["x"]).read() is None


def test_the_latest_used_stay(folder: Path) -> None:
    file = stored(folder)
    os.utime(file, (0, 0))
    for number in range(KEPT - 1):
        Cache(folder, [str(number)]).write(PROGRAMS)
    assert Cache(folder, ["x"]).read() == PROGRAMS
    Cache(folder, ["one more"]).write(PROGRAMS)
    assert Cache(folder, ["x"]).read() == PROGRAMS, "it has just been used"
    assert len(list(folder.iterdir())) == KEPT


def test_one_compiles_and_the_other_finds_it(folder: Path) -> None:
    found: list[dict[str, Compiled] | None] = []

    def other() -> None:
        with Cache(folder, ["x"]).locked():
            found.append(Cache(folder, ["x"]).read())

    thread = Thread(target=other)
    with Cache(folder, ["x"]).locked():
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        stored(folder)
    thread.join(10)
    assert found == [PROGRAMS]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "moorline", ["x"])
    with cache.locked():
        pass
    cache.write(PROGRAMS)
    assert cache.read() is None
