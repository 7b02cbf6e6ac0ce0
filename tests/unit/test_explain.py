# SPDX-License-Identifier: Apache-2.0
"""What is said of a kernel or compiler that does not take the programs: one sentence, with what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dataplane.bpf.explain import compiler_failure, verifier_failure

LOG = Path("/var/lib/moorline/node/pipeline.log")
KERNEL = os.uname().release


@pytest.mark.parametrize(
    ("log", "problem", "expected"),
    [
        (
            "12: (85) call bpf_redirect_neigh#152\nunknown func bpf_redirect_neigh#152\nprocessed 12 insns\n",
            "Invalid argument",
            "lacks bpf_redirect_neigh(), which the tc program needs; use Linux 5.10 or newer",
        ),
        (
            "program of this type cannot use helper bpf_xdp_load_bytes#189\n",
            "Invalid argument",
            "lacks bpf_xdp_load_bytes(), which the tc program needs; use Linux 5.18 or newer",
        ),
        (
            "unknown func bpf_of_tomorrow#999\n",
            "Invalid argument",
            "lacks bpf_of_tomorrow(), which the tc program needs; use a newer kernel",
        ),
        (
            "BPF program is too large. Processed 1000001 insn\n",
            "Argument list too long",
            f"the verifier of kernel {KERNEL} finds the tc program too complex; use a newer kernel",
        ),
        (
            "",
            "Operation not permitted",
            f"kernel {KERNEL} does not let this user load the tc program; run as root",
        ),
        (
            "R1 invalid mem access 'scalar'\nprocessed 7 insns (limit 1000000)\n",
            "Permission denied",
            f"kernel {KERNEL} refuses the tc program (R1 invalid mem access 'scalar'); use another kernel",
        ),
        (
            "",
            "Device or resource busy",
            f"kernel {KERNEL} refuses the tc program (Device or resource busy); use another kernel",
        ),
    ],
)
def test_a_kernel_that_does_not_take_a_program(log: str, problem: str, expected: str) -> None:
    said = verifier_failure(log, "tc", problem, LOG)
    assert expected in said
    assert f"kernel {KERNEL}" in said
    assert "\n" not in said


def test_headers_that_do_not_fit() -> None:
    said = compiler_failure("/virtual/main.c:12:9: error: unknown type name '__u128'\n   __u128 x;\n", LOG)
    assert "/virtual/main.c:12: unknown type name '__u128'" in said
    assert "install the headers of a kernel from 5.18 on" in said
    assert str(LOG) in said


def test_a_compiler_that_says_nothing() -> None:
    assert "the compiler did not say why" in compiler_failure("", LOG)
