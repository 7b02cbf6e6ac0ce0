# SPDX-License-Identifier: Apache-2.0
"""Conformance vectors: cases in, cases out, and what runs them on a data plane.

A vector says which entries a data plane holds, which packets arrive, and what must become of each. The
cases are Python builders (:mod:`tools.vectors.cases`); ``python -m tools.vectors make`` writes them to
``pcaps/`` as one text file and up to two pcaps each; :mod:`tools.vectors.runner` plays those files to a
:class:`~tools.vectors.target.Target`.
"""
