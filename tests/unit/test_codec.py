# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.contract.codec import StructCodec, by_number, canonical, check_value
from dataplane.contract.errors import EntryError, ValueOutOfRange
from dataplane.contract.layout import Field
from dataplane.contract.p4info import Value

VALUES = (Value(1, "port", 9), Value(2, "tenant", 24), Value(3, "address", 128), Value(5, "scid", 64))
FIELDS = (
    Field("scid", 0, 8, False),
    Field("port", 8, 2, False),
    Field("address", 12, 16, True),
    Field("tenant", 28, 4, False),
)
CODEC = StructCodec("table t", "match field", VALUES, FIELDS, 40)
NUMBERS = st.fixed_dictionaries({v.id: st.integers(0, 2**v.width - 1) for v in VALUES})


@given(NUMBERS, st.randoms(), st.integers(0, 3))
def test_what_is_packed_comes_back_canonical(numbers: dict[int, int], order: object, zeros: int) -> None:
    given_values = [(i, bytes(zeros) + canonical(n)) for i, n in numbers.items()]
    order.shuffle(given_values)  # type: ignore[attr-defined]
    packed = CODEC.pack(given_values)
    assert len(packed) == 40
    assert CODEC.unpack(packed) == [(v.id, canonical(numbers[v.id])) for v in VALUES]


@given(st.integers(0, 2**70))
def test_canonical_is_the_shortest(number: int) -> None:
    text = canonical(number)
    assert int.from_bytes(text, "big") == number
    assert len(text) == 1 or text[0]


@pytest.mark.parametrize(
    ("width", "value", "number"),
    [
        (8, b"\x63", 99),
        (16, b"\x00\x63", 99),
        (16, b"\x30\x39", 12345),
        (9, b"\x00\x00\x01\xff", 511),
        (7, b"\0", 0),
    ],
)
def test_strings_that_the_specification_accepts(width: int, value: bytes, number: int) -> None:
    assert check_value("x", width, value) == number


@pytest.mark.parametrize(("width", "value"), [(8, b"\x01\x63"), (9, b"\x02\x00"), (16, b""), (7, b"\x80")])
def test_strings_that_it_refuses(width: int, value: bytes) -> None:
    with pytest.raises(ValueOutOfRange):
        check_value("x", width, value)


ALL = [(1, b"\1"), (2, b"\2"), (3, b"\3"), (5, b"\5")]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (ALL[1:], "table t lacks the match field port; give a value"),
        ([*ALL, (9, b"\1")], r"table t has no match field 9; known are 1 \(port\), 2 \(tenant\)"),
        ([*ALL, (1, b"\1")], "table t: the match field port is given twice"),
        ([(1, b"\x02\x00"), *ALL[1:]], "the match field port is 0x200, which needs 10 bits; it has 9"),
        ([(1, b""), *ALL[1:]], "the match field port has an empty value"),
        ([*ALL[:2], (3, b"\1" + bytes(16)), ALL[3]], "address is 0x1000.* needs 129 bits; it has 128"),
    ],
)
def test_bad_values_are_named(values: list[tuple[int, bytes]], message: str) -> None:
    with pytest.raises(EntryError, match=message):
        CODEC.pack(values)


def test_values_by_name() -> None:
    assert by_number(VALUES, {"port": 3, "address": b"\1" * 16}) == [(1, b"\3"), (3, b"\1" * 16)]
    with pytest.raises(EntryError, match="there is no field colour; known are port, tenant, address, scid"):
        by_number(VALUES, {"colour": 3})
