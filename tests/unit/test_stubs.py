# SPDX-License-Identifier: Apache-2.0
"""The checked-in protobuf stubs say what the .proto file says (mend: ``make stubs``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from moorline.api.v1 import moorline_pb2, moorline_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
PROTO = "moorline/api/v1/moorline.proto"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> FileDescriptorProto:
    output = tmp_path_factory.mktemp("proto") / "set.bin"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--descriptor_set_out={output}", PROTO]
    subprocess.run(command, cwd=ROOT, check=True)
    return FileDescriptorSet.FromString(output.read_bytes()).file[0]


def test_messages_are_those_of_the_proto_file(compiled: FileDescriptorProto):
    checked_in = FileDescriptorProto()
    moorline_pb2.DESCRIPTOR.CopyToProto(checked_in)
    for message in (*compiled.message_type, *checked_in.message_type):
        for field in message.field:
            field.ClearField("json_name")  # protoc writes it into descriptor sets, not into stubs
    assert checked_in == compiled


def test_every_method_has_its_stub(compiled: FileDescriptorProto):
    source = Path(moorline_pb2_grpc.__file__).read_text()
    for service in compiled.service:
        for method in service.method:
            assert f"'/{compiled.package}.{service.name}/{method.name}'" in source


def test_the_type_stub_knows_every_message(compiled: FileDescriptorProto):
    source = Path(moorline_pb2.__file__).with_suffix(".pyi").read_text()
    for message in compiled.message_type:
        assert f"class {message.name}(" in source
