# SPDX-License-Identifier: Apache-2.0
"""Fuzzes the data planes: random packets that know the formats, judged by a model of the document.

:mod:`~tools.fuzz.generate` makes packets, :mod:`~tools.fuzz.model` predicts from docs/wire-format.md what
must become of each, :mod:`~tools.fuzz.drive` compares with what the programs do.
"""
