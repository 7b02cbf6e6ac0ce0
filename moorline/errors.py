# SPDX-License-Identifier: Apache-2.0
"""The one base of all errors that a user may see."""

from __future__ import annotations


class MoorlineError(Exception):
    """An error told to the user in one sentence: the thing, the value and the mend.

    The command prints it without a traceback and exits with ``exit_code``.
    """

    exit_code = 1
