# SPDX-License-Identifier: Apache-2.0
"""The lab's switch process: it serves when it is said to, and ends however the lab ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r, p4r_grpc

from tools.lab import cleanup
from tools.lab.errors import LabError
from tools.lab.namespace import Namespace
from tools.lab.switch import PROGRAM, Switch, find_switch

pytestmark = pytest.mark.bmv2


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Namespace]:
    namespace = Namespace(cleanup.unique_name(), tmp_path)
    try:
        namespace.request("link", "add", ifname="left", kind="veth", peer={"ifname": "right"})
        for interface in ("left", "right"):
            namespace.set_link(interface, state="up")
        yield namespace
    finally:
        namespace.close()


def version(address: str) -> str:
    with grpc.insecure_channel(address) as channel:
        answer = p4r_grpc.P4RuntimeStub(channel).Capabilities(p4r.CapabilitiesRequest(), timeout=5)
        return str(answer.p4runtime_api_version)


def test_it_serves_once_it_is_started_again_and_again(place: Namespace, tmp_path: Path) -> None:
    with Switch("one", place.path, {1: "left", 2: "right"}, tmp_path) as switch:
        first = switch.process
        assert version(switch.address).startswith("1.")
        switch.kill()
        switch.start()
        assert version(switch.address).startswith("1.")
        with pytest.raises(LabError, match="the switch one runs already"):
            switch.start()
    assert not first.running
    assert not switch.process.running


def test_it_serves_at_an_address_of_its_namespace(place: Namespace, tmp_path: Path) -> None:
    with Switch("tcp", place.path, {1: "left"}, tmp_path, "127.0.0.1:9559") as switch:
        with place.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.connect(("127.0.0.1", 9559))
        assert switch.process.running


def test_it_ends_with_its_namespace(tmp_path: Path) -> None:
    namespace = Namespace(cleanup.unique_name(), tmp_path)
    switch = Switch("left-alone", namespace.path, {}, tmp_path).start()
    namespace.close()
    assert switch.process.wait(5) < 0


def test_what_went_wrong_is_said(place: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match=r"ethtool -K nothing .* failed: .*no device"):
        Switch("bad", place.path, {1: "nothing"}, tmp_path).start()
    place.set_link("left", state="down")
    with pytest.raises(
        LabError, match=r"the switch bad cannot open its ports; are they up\? .*left as port 1"
    ):
        Switch("bad", place.path, {1: "left"}, tmp_path).start()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_switch() is None
    with pytest.raises(LabError, match=f"{PROGRAM} is not on the PATH"):
        Switch("none", place.path, {}, tmp_path).start()
