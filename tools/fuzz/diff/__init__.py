# SPDX-License-Identifier: Apache-2.0
"""The differential fuzzer: random entries and packets to XDP, TC and BMv2, which must do the same.

:mod:`~tools.fuzz.diff.entries` makes entries, :mod:`~tools.fuzz.diff.play` plays packets and brings what came
of them into one form, :mod:`~tools.fuzz.diff.drive` compares, :mod:`~tools.fuzz.diff.minimise` makes of a
difference a case as small as it goes, and :mod:`~tools.fuzz.diff.keep` writes it as a vector.
"""
