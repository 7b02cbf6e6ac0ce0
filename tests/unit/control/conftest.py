# SPDX-License-Identifier: Apache-2.0
"""The contract is read once for all tests: hundreds of controllers and fake nodes start in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.config import ControllerConfig
from control.southbound.contract import Contract


@pytest.fixture(scope="package", autouse=True)
def _contract_read_once() -> Iterator[None]:
    load = Contract.load
    own = ControllerConfig().p4info
    contract = load(own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Contract, "load", staticmethod(lambda path: contract if Path(path) == own else load(path))
        )
        yield
