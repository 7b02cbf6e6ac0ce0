# SPDX-License-Identifier: Apache-2.0
"""The checked-in protobuf stubs say what the .proto file says (mend: ``make stubs``)."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

ROOT = Path(__file__).resolve().parents[2]
PROTOS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "moorline/api/v1").glob("*.proto"))


@pytest.fixture(scope="module", params=PROTOS)
def proto(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def compiled(proto: str, tmp_path_factory: pytest.TempPathFactory) -> FileDescriptorProto:
    output = tmp_path_factory.mktemp("proto") / "set.bin"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--descriptor_set_out={output}", proto]
    subprocess.run(command, cwd=ROOT, check=True)
    return FileDescriptorSet.FromString(output.read_bytes()).file[0]


def stubs(proto: str, suffix: str) -> ModuleType:
    return importlib.import_module(proto.removesuffix(".proto").replace("/", ".") + suffix)


def test_messages_are_those_of_the_proto_file(proto: str, compiled: FileDescriptorProto) -> None:
    checked_in = FileDescriptorProto()
    stubs(proto, "_pb2").DESCRIPTOR.CopyToProto(checked_in)
    for message in (*compiled.message_type, *checked_in.message_type):
        for field in message.field:
            field.ClearField("json_name")  # protoc writes it into descriptor sets, not into stubs
    assert checked_in == compiled


def test_every_method_has_its_stub(proto: str, compiled: FileDescriptorProto) -> None:
    source = Path(stubs(proto, "_pb2_grpc").__file__ or "").read_text()
    for service in compiled.service:
        for method in service.method:
            assert f"'/{compiled.package}.{service.name}/{method.name}'" in source


def test_the_type_stub_knows_every_message(proto: str, compiled: FileDescriptorProto) -> None:
    source = Path(stubs(proto, "_pb2").__file__ or "").with_suffix(".pyi").read_text()
    for message in compiled.message_type:
        assert f"class {message.name}(" in source
