# SPDX-License-Identifier: Apache-2.0
"""The contract between controller and data plane: P4Info, C structs, and the binding of the two."""
