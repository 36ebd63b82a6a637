import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.matching import explain_mismatch, match_volume
from pyiexec.protocol.orders import NO_DATASET, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import Address, bytes32, checksum


def account(number: int) -> Address:
    return checksum(number.to_bytes(20, "big"))


APP, DATASET, POOL, REQUESTER, OTHER = map(account, (1, 2, 3, 4, 5))
FITTING: dict[str, Order] = {
    "app": AppOrder(app=APP, appprice=10, volume=4),
    "dataset": DatasetOrder(dataset=DATASET, datasetprice=20, volume=3),
    "workerpool": WorkerpoolOrder(workerpool=POOL, workerpoolprice=30, volume=9, category=2, trust=10),
    "request": RequestOrder(
        app=APP,
        appmaxprice=10,
        dataset=DATASET,
        datasetmaxprice=20,
        workerpoolmaxprice=30,
        requester=REQUESTER,
        volume=5,
        category=2,
        trust=10,
    ),
}


def changed(**changes: object) -> dict[str, Order]:
    """The fitting orders with fields changed, given as order__field=value."""
    orders = dict(FITTING)
    for path, value in changes.items():
        order, field = path.split("__")
        orders[order] = msgspec.structs.replace(orders[order], **{field: value})
    return orders


def codes(orders: dict[str, Order]) -> list[str]:
    return [mismatch.code.removeprefix("iExecV5-matchOrders-") for mismatch in explain_mismatch(**orders)]  # type: ignore[arg-type]


def test_fitting_orders_have_nothing_to_explain() -> None:
    assert codes(FITTING) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"request__category": 1}, "0x00"),
        ({"request__trust": 11}, "0x02"),
        ({"app__appprice": 11}, "0x03"),
        ({"dataset__datasetprice": 21}, "0x04"),
        ({"workerpool__workerpoolprice": 31}, "0x05"),
        ({"request__tag": bytes32(0x100)}, "0x06"),
        ({"request__tag": bytes32(1), "workerpool__tag": bytes32(1)}, "0x07"),
        ({"request__app": OTHER}, "0x10"),
        ({"request__dataset": OTHER}, "0x11"),
        ({"request__workerpool": OTHER}, "0x12"),
        ({"app__datasetrestrict": OTHER}, "0x13"),
        ({"app__workerpoolrestrict": OTHER}, "0x14"),
        ({"app__requesterrestrict": OTHER}, "0x15"),
        ({"dataset__apprestrict": OTHER}, "0x16"),
        ({"dataset__workerpoolrestrict": OTHER}, "0x17"),
        ({"dataset__requesterrestrict": OTHER}, "0x18"),
        ({"workerpool__apprestrict": OTHER}, "0x19"),
        ({"workerpool__datasetrestrict": OTHER}, "0x1a"),
        ({"workerpool__requesterrestrict": OTHER}, "0x1b"),
        ({"dataset__volume": 0}, "0x60"),
    ],
)
def test_each_mismatch_is_told_with_the_code_the_hub_reverts_with(change: dict[str, object], code: str) -> None:
    assert codes(changed(**change)) == [code]


def test_all_mismatches_are_told_in_the_order_of_the_hub() -> None:
    orders = changed(
        request__category=1, app__appprice=11, workerpool__requesterrestrict=OTHER, app__requesterrestrict=OTHER
    )
    assert codes(orders) == ["0x00", "0x03", "0x15", "0x1b"]
    assert "0.000000011 RLC" in explain_mismatch(**orders)[1].message  # type: ignore[arg-type]


def test_a_restriction_to_the_right_account_restricts_nothing() -> None:
    assert codes(changed(app__requesterrestrict=REQUESTER, request__workerpool=POOL)) == []


def test_a_restriction_may_be_a_group_that_has_the_account() -> None:
    orders = changed(app__requesterrestrict=OTHER)
    asked: list[tuple[Address, Address]] = []

    def group_has(group: Address, member: Address) -> bool:
        asked.append((group, member))
        return True

    assert explain_mismatch(**orders, group_has=group_has) == []  # type: ignore[arg-type]
    assert asked == [(OTHER, REQUESTER)]


def test_an_app_restricted_to_a_dataset_cannot_run_without_one() -> None:
    orders = changed(request__dataset=NO_DATASET.dataset, app__datasetrestrict=DATASET) | {"dataset": NO_DATASET}
    assert codes(orders) == ["0x13"]


def test_no_dataset_does_not_limit_the_volume() -> None:
    assert match_volume(**FITTING) == 3  # type: ignore[arg-type]
    assert match_volume(**FITTING | {"dataset": NO_DATASET}) == 4  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 20), min_size=4, max_size=4), st.lists(st.integers(0, 20), min_size=4, max_size=4))
def test_the_volume_is_the_least_that_is_left_and_never_negative(volumes: list[int], consumed: list[int]) -> None:
    names = ("app", "dataset", "workerpool", "request")
    orders = changed(**{f"{name}__volume": volume for name, volume in zip(names, volumes, strict=True)})
    used = {f"{name}_consumed": amount for name, amount in zip(names, consumed, strict=True)}
    left = [volume - amount for volume, amount in zip(volumes, consumed, strict=True)]
    assert match_volume(**orders, **used) == max(min(left), 0)  # type: ignore[arg-type]
