# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: ratios against a peer or a floor, measured in one run.

``make bench`` writes ``build/bench.json``.
"""
