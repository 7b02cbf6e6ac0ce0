# SPDX-License-Identifier: Apache-2.0
"""Configuration files, right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError, field_validator

from moorline.config import ConfigError, Section, load


class Port(Section):
    name: str
    role: str = "underlay"


class Node(Section):
    mtu: int = Field(default=1500, ge=1280)
    ports: tuple[Port, ...] = Field(default=(), alias="port")

    @field_validator("mtu")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("it must be even")
        return value


class Whole(Section):
    node: Node = Node()
    spare: Node | None = None


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "moorline.toml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text), Whole)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith(f"configuration {tmp_path / 'moorline.toml'}")
    return message


def test_a_whole_file(tmp_path: Path) -> None:
    whole = load(written(tmp_path, '[node]\nmtu = 9000\n[[node.port]]\nname = "eth0"\n'), Whole)
    assert whole.node.mtu == 9000
    assert whole.node.ports == (Port(name="eth0"),)


def test_an_empty_file_has_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), Whole) == Whole()


def test_sections_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Node().mtu = 9000  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[nod]\n", "unknown key nod: did you mean node?"),
        ("zebra = 1\n", "unknown key zebra: known here are node, spare"),
        ("[node]\nmut = 1\n", "unknown key node.mut: did you mean mtu?"),
        ("[spare]\nmut = 1\n", "unknown key spare.mut: did you mean mtu?"),
        ('[[node.port]]\nname = "a"\nrol = "x"\n', "unknown key node.port[0].rol: did you mean role?"),
        ("[[node.port]]\n", "key node.port[0].name is missing: set it"),
        ("[node]\nmtu = 5\n", "key node.mtu = 5 is wrong: input should be greater than or equal to 1280"),
        ("[node]\nmtu = 1501\n", "key node.mtu = 1501 is wrong: it must be even"),
        ('[node]\nmtu = "x"\n', "key node.mtu = 'x' is wrong: input should be a valid integer"),
        ("[node]\nmtu = true\n", "section node is wrong: mtu = true is neither number nor text: write one"),
        ("node = 3\n", "key node = 3 is wrong: write keys with their values"),
        ("[node]\nport = 3\n", "key node.port = 3 is wrong: write a list"),
        (f"[node]\nmtu = {'9' * 5000}\n", "is not valid TOML: "),
        (f"node = {'[' * 5000}{']' * 5000}\n", "is nested too deeply"),
        ("[node\n", "is not valid TOML: expected ']'"),
        ("[node]\nmtu = 1\nmtu = 2\n", "is not valid TOML: cannot overwrite a value"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


def test_a_half_written_file(tmp_path: Path) -> None:
    assert "is not valid TOML" in refusal(tmp_path, '[node]\nmtu = 1500\n[[node.port]]\nname = "et')


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.toml", Whole)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "moorline.toml"
    path.write_bytes(b"[node]\n\xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 text at octet 7"):
        load(path, Whole)
