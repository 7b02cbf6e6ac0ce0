# SPDX-License-Identifier: Apache-2.0
"""What developers use: the lab, the demonstration, the vectors, the fuzzer, the benchmarks."""
