# SPDX-License-Identifier: Apache-2.0
"""Finds the kernel headers that BCC compiles with.

The programs use only the kernel's stable interface to user space, so any recent headers will do: those of
the running kernel if they are there, else those of a distribution's package. Debian splits a package in two
trees; they are merged by symbolic links in a cache folder.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

from dataplane.bpf.compiled import cache_folder
from moorline.errors import MoorlineError

_PACKAGES: Final = Path("/usr/src")
_MODULES: Final = Path("/lib/modules")
_COMMON: Final = re.compile(r"linux-headers-(?P<version>.+)-common$")


class HeadersError(MoorlineError):
    """No kernel headers to compile with."""


def find_headers(packages: Path = _PACKAGES, modules: Path = _MODULES, cache: Path | None = None) -> Path:
    """A complete tree of kernel headers.

    Raises:
        HeadersError: there is none.
    """
    running = modules / os.uname().release / "build"
    if _is_complete(running):
        return running
    for common in sorted(packages.glob("linux-headers-*-common"), key=_version, reverse=True):
        version = _COMMON.search(common.name)
        for flavour in sorted(packages.glob(f"linux-headers-{version['version']}-*")) if version else ():
            if flavour != common and (flavour / "include").is_dir():
                return _merged(common, flavour, cache or cache_folder())
    raise HeadersError(
        f"no kernel headers in {running} or {packages}; install a package with them, on Debian: "
        "apt install linux-headers-amd64"
    )


def _is_complete(tree: Path) -> bool:
    return (tree / "include/generated/autoconf.h").exists() and (tree / "include/uapi/linux/bpf.h").exists()


def _version(tree: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", tree.name)]


def _merged(common: Path, flavour: Path, cache: Path) -> Path:
    """Both trees in one, made of links; built aside and renamed, so that it is whole or not there."""
    tree = cache / flavour.name
    if _is_complete(tree):
        return tree
    fresh = cache / f"{flavour.name}.{os.getpid()}"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        for source in (common, flavour):
            _link(source, fresh)
        shutil.rmtree(tree, ignore_errors=True)
        fresh.rename(tree)
    except OSError as error:
        if _is_complete(tree):  # another process was faster
            return tree
        raise HeadersError(
            f"kernel headers cannot be merged in {cache} ({error.strerror}); make it writable"
        ) from None
    return tree


def _link(source: Path, target: Path) -> None:
    for folder, _, files in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(parents=True, exist_ok=True)
        for name in files:
            link = into / name
            link.unlink(missing_ok=True)
            link.symlink_to(Path(folder) / name)
