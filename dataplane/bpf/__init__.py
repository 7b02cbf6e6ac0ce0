# SPDX-License-Identifier: Apache-2.0
"""The eBPF edge: compiling, loading, pinning, and tables in shared memory."""
