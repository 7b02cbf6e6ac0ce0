# SPDX-License-Identifier: Apache-2.0
"""Compiles the P4 programs: ``python -m tools.contract`` (``make p4``), wherever ``p4c`` is on the PATH.

The results are checked in: ``p4/moorline.p4info.txtpb``, the contract that agents and controllers read, and
``p4/moorline.json``, the program for the software switch BMv2; and the same of a plain Ethernet switch
that benchmarks use. None says on which machine it was made.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from moorline.errors import MoorlineError
from tools import bmv2_program

ROOT: Final = Path(__file__).resolve().parents[1]


class Program(NamedTuple):
    """A P4 program and where its files are.

    quick: whether it is made quicker for BMv2 than the compiler makes it; not what others are measured by.
    """

    folder: Path
    name: str
    quick: bool = True

    @property
    def p4info(self) -> Path:
        """Its compiled P4Info."""
        return self.folder / f"{self.name}.p4info.txtpb"

    @property
    def switch(self) -> Path:
        """It, compiled for BMv2."""
        return self.folder / f"{self.name}.json"


P4: Final = ROOT / "p4"
MOORLINE: Final = Program(P4, "moorline")
ETHERNET_SWITCH: Final = Program(ROOT / "tools" / "bench", "l2_switch", quick=False)
PROGRAMS: Final = (MOORLINE, ETHERNET_SWITCH)
P4INFO: Final = MOORLINE.p4info.name
SWITCH: Final = MOORLINE.switch.name


class Compiled(NamedTuple):
    """What the compiler makes: the texts of both files."""

    p4info: str
    switch: str


def compiler() -> str | None:
    """Where ``p4c`` is, if it is on the PATH."""
    return shutil.which("p4c")


def compile_program(program: Program = MOORLINE) -> Compiled:
    """Compiles a P4 program; a warning is an error.

    Raises:
        MoorlineError: there is no compiler, or it refuses the program.
    """
    p4c = compiler()
    if p4c is None:
        raise MoorlineError(
            "p4c is not on the PATH: install the P4 compiler (https://github.com/p4lang/p4c), or leave the "
            "compiled files as they are"
        )
    with tempfile.TemporaryDirectory(prefix="moorline-p4-") as folder:
        made = program._replace(folder=Path(folder))
        command = [p4c, "--target", "bmv2", "--arch", "v1model", "--std", "p4-16", "--Werror"]
        command += ["--p4runtime-files", str(made.p4info), "-o", folder, f"{program.name}.p4"]
        done = subprocess.run(command, cwd=program.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MoorlineError(f"p4c refuses the P4 program: mend what it says\n{done.stderr.strip()}")
        switch = json.loads(made.switch.read_text())
        if program.quick:
            bmv2_program.quicken(switch)
        return Compiled(made.p4info.read_text(), bmv2_program.render(switch, f"{program.name}.p4"))


def main() -> int:
    for program in PROGRAMS:
        try:
            compiled = compile_program(program)
        except MoorlineError as error:
            print(f"p4: {error}", file=sys.stderr)
            return 1
        program.p4info.write_text(compiled.p4info)
        program.switch.write_text(compiled.switch)
        print(f"p4: wrote {program.p4info.name} and {program.switch.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
