# SPDX-License-Identifier: Apache-2.0
"""P4Runtime (specification 1.4) for a data plane whose tables lie in shared memory."""
