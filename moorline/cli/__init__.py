# SPDX-License-Identifier: Apache-2.0
"""The command ``moorline``."""

import os

# gRPC's core writes lines of its own to standard error; all that a user must know is told in one sentence.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
