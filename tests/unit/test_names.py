# SPDX-License-Identifier: Apache-2.0
"""Names in every form that programs hand over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorline.names import MAX_LABEL, MAX_NAME, InvalidNameError, NodeName, ServiceName

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=3).map(".".join).filter(lambda n: not n.split(".")[-1].isdigit())


@given(NAME)
def test_a_canonical_name_stays(name: str) -> None:
    assert ServiceName.parse(name) == name
    assert NodeName.parse(name) == name


@given(
    NAME, st.sampled_from(["http", "HTTPS", "svn+ssh", "x-y.z"]), st.integers(0, 65535), st.text(max_size=20)
)
def test_the_name_is_found_in_urls(name: str, scheme: str, port: int, path: str) -> None:
    assert ServiceName.parse(f"{scheme}://{name}:{port}/{path}") == name
    assert ServiceName.parse(f"{name.upper()}:{port}") == name
    assert ServiceName.parse(f"{name}./{path}") == name
    assert ServiceName.parse(f"{name}?{path}") == name


@given(st.text(max_size=300))
def test_what_is_taken_is_canonical(text: str) -> None:
    try:
        name = ServiceName.parse(text)
    except InvalidNameError as error:
        assert "\n" not in str(error)
        return
    assert ServiceName.parse(name) == name
    assert name == name.lower()
    assert 0 < len(name) <= MAX_NAME
    assert all(0 < len(label) <= MAX_LABEL for label in name.split("."))
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        ".a",
        "-a",
        "a-",
        "a_b",
        "a b",
        "user@host",
        "[::1]:80",
        "10.0.0.1",
        "a:b",
        "a:123456",
        "http://",
        "http:///path",
        "a\nb",
        "a" * 64,
        ".".join(["a" * 63] * 3 + ["a" * 62]),
        "b\u00fcro.demo",
        "\u212aelvin.demo",  # the Kelvin sign lowers to a plain k
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(InvalidNameError):
        ServiceName.parse(text)


def test_the_longest_names() -> None:
    longest = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert len(longest) == MAX_NAME
    assert ServiceName.parse(longest + ".") == longest


@pytest.mark.parametrize("text", ["laptop:80", "http://laptop", "laptop/x"])
def test_nodes_have_no_urls(text: str) -> None:
    with pytest.raises(InvalidNameError, match="node name"):
        NodeName.parse(text)


def test_errors_show_what_was_given() -> None:
    with pytest.raises(InvalidNameError, match=r"'http://a_b:80/x' is no service name: use labels"):
        ServiceName.parse("http://a_b:80/x")
