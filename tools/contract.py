# SPDX-License-Identifier: Apache-2.0
"""Compiles the P4 program: ``python -m tools.contract`` (``make p4``), wherever ``p4c`` is on the PATH.

The results are checked in: ``p4/moorline.p4info.txtpb``, the contract that agents and controllers read, and
``p4/moorline.json``, the program for the software switch BMv2. Neither says on which machine it was made.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from moorline.errors import MoorlineError

P4: Final = Path(__file__).resolve().parents[1] / "p4"
PROGRAM: Final = "moorline.p4"
P4INFO: Final = "moorline.p4info.txtpb"
SWITCH: Final = "moorline.json"


class Compiled(NamedTuple):
    """What the compiler makes: the texts of both files."""

    p4info: str
    switch: str


def compiler() -> str | None:
    """Where ``p4c`` is, if it is on the PATH."""
    return shutil.which("p4c")


def compile_program() -> Compiled:
    """Compiles the P4 program; a warning is an error.

    Raises:
        MoorlineError: there is no compiler, or it refuses the program.
    """
    p4c = compiler()
    if p4c is None:
        raise MoorlineError(
            "p4c is not on the PATH: install the P4 compiler (https://github.com/p4lang/p4c), or leave the "
            "compiled files in p4/ as they are"
        )
    with tempfile.TemporaryDirectory(prefix="moorline-p4-") as folder:
        made = Path(folder)
        command = [p4c, "--target", "bmv2", "--arch", "v1model", "--std", "p4-16", "--Werror"]
        command += ["--p4runtime-files", str(made / P4INFO), "-o", str(made), PROGRAM]
        done = subprocess.run(command, cwd=P4, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MoorlineError(f"p4c refuses the P4 program: mend what it says\n{done.stderr.strip()}")
        return Compiled((made / P4INFO).read_text(), _render(json.loads((made / SWITCH).read_text())))


def _render(switch: dict[str, Any]) -> str:
    """The switch's program without places in sources; one line for each of its parts."""
    parts = {**_without_places(switch), "program": PROGRAM}
    lines = (f"{json.dumps(name)}: {json.dumps(part)}" for name, part in parts.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_places(part) for name, part in value.items() if name != "source_info"}
    return [_without_places(part) for part in value] if isinstance(value, list) else value


def main() -> int:
    try:
        compiled = compile_program()
    except MoorlineError as error:
        print(f"p4: {error}", file=sys.stderr)
        return 1
    (P4 / P4INFO).write_text(compiled.p4info)
    (P4 / SWITCH).write_text(compiled.switch)
    print(f"p4: wrote {P4INFO} and {SWITCH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
