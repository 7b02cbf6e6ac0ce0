# SPDX-License-Identifier: Apache-2.0
"""The fuzzer's model agrees with every vector: both are written from docs/wire-format.md."""

from __future__ import annotations

import pytest

from moorline.wire import Event
from tools.fuzz.model import Model
from tools.fuzz.scene import NEXT_HOPS
from tools.vectors.cases import vectors
from tools.vectors.model import Vector


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.path)
def test_model_agrees_with_vector(vector: Vector) -> None:
    model = Model(vector.entries, NEXT_HOPS, at_tc=vector.hooks == ("tc",))
    for step in vector.steps:
        prediction = model.predict(step.port, step.frame)
        assert prediction.event is step.expected.event
        if prediction.event is Event.TX:
            assert prediction.egress == step.expected.egress
            assert prediction.packet == step.expected.packet
        if step.expected.packet_in is not None:
            assert prediction.mtu == step.expected.packet_in.mtu
