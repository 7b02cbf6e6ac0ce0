# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a lab."""

from __future__ import annotations

from moorline.errors import MoorlineError


class LabError(MoorlineError):
    """A lab that could not be built, or a program in it that did not do what it must."""
