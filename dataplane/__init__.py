# SPDX-License-Identifier: Apache-2.0
"""The data plane: BPF loading, the P4Runtime server and the agent of a node."""
