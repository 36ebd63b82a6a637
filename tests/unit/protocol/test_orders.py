import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import (
    NO_DATASET,
    ORDER_KINDS,
    AppOrder,
    Order,
    RequestOrder,
    decode_order,
    kind_of,
    order_from_abi,
    order_to_abi,
    order_to_json,
)
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, checksum, to_bytes

ALICE = checksum("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")

orders: st.SearchStrategy[Order] = st.one_of(*map(st.from_type, ORDER_KINDS.values()))


def app_order(**changes: object) -> dict[str, object]:
    return order_to_json(AppOrder(app=ALICE)) | changes


@given(orders)
def test_an_order_survives_json(order: Order) -> None:
    text = msgspec.json.encode(order_to_json(order))
    assert decode_order(kind_of(order), msgspec.json.decode(text)) == order


@given(orders)
def test_an_order_survives_json_with_decimal_strings_as_the_js_client_writes_it(order: Order) -> None:
    written = {name: str(value) if isinstance(value, int) else value for name, value in order_to_json(order).items()}
    assert decode_order(kind_of(order), written) == order


@given(orders)
def test_an_order_survives_the_abi_where_signatures_are_bytes(order: Order) -> None:
    values = order_to_abi(order)
    assert order_from_abi(kind_of(order), values) == order
    assert order_from_abi(kind_of(order), (*values[:-1], to_bytes(values[-1]))) == order


def test_addresses_are_checksummed_and_words_lowered() -> None:
    decoded = decode_order("apporder", app_order(app=ALICE.lower(), tag="0x" + "AB" * 32, sign="0xAB"))
    assert isinstance(decoded, AppOrder)
    assert (decoded.app, decoded.tag, decoded.sign) == (ALICE, "0x" + "ab" * 32, "0xab")


def test_an_unsigned_order_may_leave_out_its_signature() -> None:
    fields = app_order()
    del fields["sign"]
    assert decode_order("apporder", fields) == AppOrder(app=ALICE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("app", "0x12"),
        ("app", None),
        ("app", "0x70997970c51812dc3A010C7d01b50e0d17dc79C8"),
        ("appprice", -1),
        ("appprice", 2**256),
        ("appprice", "1.5"),
        ("appprice", "0x10"),
        ("appprice", "-1"),
        ("appprice", " 1"),
        ("appprice", "٣"),
        ("appprice", "9" * 10_000),
        ("appprice", True),
        ("appprice", 1.0),
        ("volume", None),
        ("tag", "0x01"),
        ("tag", 1),
        ("salt", "0x" + "g" * 64),
        ("sign", "0xabc"),
        ("sign", 5),
        ("requesterrestrict", ""),
    ],
)
def test_an_ill_formed_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(IexecError, match=field) as refusal:
        decode_order("apporder", app_order(**{field: value}))
    assert refusal.value.code == "BAD_ORDER"


def test_text_that_utf8_cannot_carry_is_refused() -> None:
    fields = order_to_json(RequestOrder(app=ALICE, requester=ALICE)) | {"params": "\ud800"}
    with pytest.raises(IexecError, match="params"):
        decode_order("requestorder", fields)


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(IexecError, match="colour"):
        decode_order("apporder", app_order(colour="red"))


@pytest.mark.parametrize("field", [name for name in AppOrder.__struct_fields__ if name != "sign"])
def test_a_missing_field_is_refused_by_name(field: str) -> None:
    fields = app_order()
    del fields[field]
    with pytest.raises(IexecError, match=f"lacks the field '{field}'"):
        decode_order("apporder", fields)


def test_an_unknown_kind_and_a_thing_that_is_no_object_are_refused() -> None:
    for kind, thing in (("teaorder", {}), ("apporder", []), ("apporder", None)):
        with pytest.raises(IexecError) as refusal:
            decode_order(kind, thing)  # type: ignore[arg-type]
        assert refusal.value.code == "BAD_ORDER"


def test_a_tuple_of_another_kind_is_refused() -> None:
    with pytest.raises(IexecError):
        order_from_abi("requestorder", order_to_abi(AppOrder(app=ALICE)))


def test_no_dataset_is_null_throughout() -> None:
    assert set(order_to_abi(NO_DATASET)) == {NULL_ADDRESS, 0, NULL_BYTES32, "0x"}
