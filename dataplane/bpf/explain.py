# SPDX-License-Identifier: Apache-2.0
"""Says in one sentence what compiler or verifier said in a thousand lines."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_COMPILER_ERROR: Final = re.compile(r"^(?P<where>\S+:\d+):\d+: (?:fatal )?error: (?P<what>.+)$", re.MULTILINE)
_UNKNOWN_HELPER: Final = re.compile(
    r"(?:unknown func |program of this type cannot use helper )(?:bpf_)?(?P<name>\w+)#"
)
_TOO_COMPLEX: Final = re.compile(
    r"BPF program is too large|too many states|The sequence of \d+ jumps is too complex"
)
_REFUSED: Final = re.compile(r"^(?P<what>.+)\nprocessed \d+ insns", re.MULTILINE)

NEEDED_SINCE: Final = {
    "xdp_load_bytes": "5.18",
    "ringbuf_output": "5.8",
    "redirect_neigh": "5.10",
    "skb_adjust_room": "4.13",
    "csum_diff": "4.6",
    "fib_lookup": "4.18",
}
"""Helpers that not every kernel has, and the first that does."""


def compiler_failure(log: str, path: Path) -> str:
    """Why BCC could not compile."""
    found = _COMPILER_ERROR.search(log)
    reason = f"{found['where']}: {found['what']}" if found else "the compiler did not say why"
    return (
        f"the BPF programs do not compile against the kernel headers in use ({reason}); "
        f"install the headers of a kernel from 5.18 on, see {path}"
    )


def verifier_failure(log: str, hook: str, problem: str, path: Path) -> str:
    """Why the kernel did not take a program; ``problem`` is what the system call said."""
    kernel = os.uname().release
    helper = _UNKNOWN_HELPER.search(log)
    if helper:
        since = NEEDED_SINCE.get(helper["name"])
        mend = f"use Linux {since} or newer" if since else "use a newer kernel"
        return (
            f"kernel {kernel} lacks bpf_{helper['name']}(), which the {hook} program needs; "
            f"{mend}, see {path}"
        )
    if _TOO_COMPLEX.search(log):
        return (
            f"the verifier of kernel {kernel} finds the {hook} program too complex; "
            f"use a newer kernel, see {path}"
        )
    if "Operation not permitted" in problem or "super-user" in problem:
        return f"kernel {kernel} does not let this user load the {hook} program; run as root"
    refused = _REFUSED.search(log)
    reason = refused["what"] if refused else problem
    return f"kernel {kernel} refuses the {hook} program ({reason}); use another kernel, see {path}"
