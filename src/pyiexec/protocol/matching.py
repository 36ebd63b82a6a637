"""Whether four orders fit together, as far as the orders themselves tell.

The hub checks the same things in the same order and stops at the first; here all are told, so that a user can mend
them at once. What needs the chain (registration, signatures, stakes, what is left of each order) is not looked at.

Source: PoCo `matchOrders`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from pyiexec.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import NULL_ADDRESS, Address
from pyiexec.protocol.tags import TEE, combine_tags, missing_tags
from pyiexec.protocol.units import format_rlc


class Mismatch(msgspec.Struct, frozen=True):
    """One reason why the hub would refuse: the text it reverts with, and what that means here."""

    code: str
    message: str


def no_group(restriction: Address, account: Address) -> bool:
    """Without a chain to ask, no restriction is known to be a group that has `account` as a member."""
    return False


def _basics(
    app: AppOrder, dataset: DatasetOrder, pool: WorkerpoolOrder, request: RequestOrder
) -> Iterator[tuple[int, str]]:
    if request.category != pool.category:
        yield 0x00, f"the request wants category {request.category}, the workerpool offers {pool.category}"
    if request.trust > pool.trust:
        yield 0x02, f"the request wants trust {request.trust}, the workerpool offers at most {pool.trust}"
    for code, name, limit, price in (
        (0x03, "app", request.appmaxprice, app.appprice),
        (0x04, "dataset", request.datasetmaxprice, dataset.datasetprice),
        (0x05, "workerpool", request.workerpoolmaxprice, pool.workerpoolprice),
    ):
        if limit < price:
            yield code, f"the {name} costs {format_rlc(price)}, the request pays at most {format_rlc(limit)}"
    tag = combine_tags(app.tag, dataset.tag, request.tag)
    if missing := missing_tags(tag, pool.tag):
        yield 0x06, f"the workerpool does not offer {', '.join(missing)}"
    if (int(tag, 16) ^ int(app.tag, 16)) & TEE:
        yield 0x07, "the dataset or the request wants an enclave, and the app is not made for one"
    if request.app != app.app:
        yield 0x10, f"the request is for app {request.app}, the app order for {app.app}"
    if request.dataset != dataset.dataset:
        yield 0x11, f"the request is for dataset {request.dataset}, the dataset order for {dataset.dataset}"


def explain_mismatch(
    app: AppOrder,
    dataset: DatasetOrder,
    workerpool: WorkerpoolOrder,
    request: RequestOrder,
    *,
    group_has: Callable[[Address, Address], bool] = no_group,
) -> list[Mismatch]:
    """Every reason why these orders cannot be matched, in the order of the hub's checks; empty when they can.

    `group_has(restriction, account)` tells whether a restriction is a group contract (ERC-734) that has the account as
    a member. Without a dataset give `NO_DATASET`.
    """
    restrictions = (
        (0x12, "request", "workerpool", request.workerpool, workerpool.workerpool),
        (0x13, "app order", "dataset", app.datasetrestrict, dataset.dataset),
        (0x14, "app order", "workerpool", app.workerpoolrestrict, workerpool.workerpool),
        (0x15, "app order", "requester", app.requesterrestrict, request.requester),
        (0x16, "dataset order", "app", dataset.apprestrict, app.app),
        (0x17, "dataset order", "workerpool", dataset.workerpoolrestrict, workerpool.workerpool),
        (0x18, "dataset order", "requester", dataset.requesterrestrict, request.requester),
        (0x19, "workerpool order", "app", workerpool.apprestrict, app.app),
        (0x1A, "workerpool order", "dataset", workerpool.datasetrestrict, dataset.dataset),
        (0x1B, "workerpool order", "requester", workerpool.requesterrestrict, request.requester),
    )
    found = list(_basics(app, dataset, workerpool, request))
    for code, order, role, restriction, account in restrictions:
        if restriction not in (NULL_ADDRESS, account) and not group_has(restriction, account):
            found.append((code, f"the {order} is only for the {role} {restriction}, not for {account}"))
    if not match_volume(app, dataset, workerpool, request):
        found.append((0x60, "one of the orders is for no task at all"))
    return [Mismatch(f"iExecV5-matchOrders-0x{code:02x}", message) for code, message in found]


def match_volume(
    app: AppOrder,
    dataset: DatasetOrder,
    workerpool: WorkerpoolOrder,
    request: RequestOrder,
    *,
    app_consumed: int = 0,
    dataset_consumed: int = 0,
    workerpool_consumed: int = 0,
    request_consumed: int = 0,
) -> int:
    """How many tasks a match makes: the least that is left of the orders, 0 when one is used up.

    `…_consumed` is what the hub counts as consumed of each order. An order for no dataset does not limit anything.
    """
    left = [
        app.volume - app_consumed,
        workerpool.volume - workerpool_consumed,
        request.volume - request_consumed,
    ]
    if dataset.dataset != NULL_ADDRESS:
        left.append(dataset.volume - dataset_consumed)
    return max(min(left), 0)
