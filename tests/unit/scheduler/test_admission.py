"""Which deals the pool works on, and what it sells to whom."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.scheduler.model import DEAL_ID, START, TASK_ID, TIMEREF, address, deal, fresh

from pyiexec.protocol.deals import Resource
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler import commands as c
from pyiexec.scheduler import events as e
from pyiexec.scheduler.admission import DEAL_NOT_ADMITTED, objection, turned_away
from pyiexec.scheduler.pool_policy import MOST_TERMS, Admission, Offer, Sales, terms_of
from pyiexec.scheduler.rules import Policy, decide, replicas_missing, wake_at
from pyiexec.scheduler.views import task_view

APP, DATASET, REQUESTER, OTHER = address(50), address(51), address(52), address(53)
DEAL = replace(
    deal(3),
    app=Resource(APP, address(9), 1),
    dataset=Resource(DATASET, address(9), 1),
    requester=REQUESTER,
    category=2,
    workerpool=Resource(address(1002), address(1003), 10),
)


@pytest.mark.parametrize(
    "admission",
    [
        {},
        {"apps": (APP, OTHER), "datasets": (DATASET,), "requesters": (REQUESTER,), "categories": (2,)},
        {"denied_apps": (OTHER,), "denied_datasets": (OTHER,), "denied_requesters": (OTHER,)},
        {"price_floor": 10, "max_trust": 3},
        {"apps": (APP.lower(),)},
    ],
)
def test_what_fits_is_admitted(admission: dict[str, Any]) -> None:
    assert objection(DEAL, Admission(**admission)) is None


@pytest.mark.parametrize(
    ("admission", "said"),
    [
        ({"apps": (OTHER,)}, f"only on apps of its list, and {APP} is not on it"),
        ({"datasets": (OTHER,)}, f"only on datasets of its list, and {DATASET} is not"),
        ({"requesters": (OTHER,)}, f"only on requesters of its list, and {REQUESTER} is not"),
        ({"denied_apps": (APP,), "apps": (APP,)}, f"refuses the app {APP}"),
        ({"denied_datasets": (DATASET,)}, f"refuses the dataset {DATASET}"),
        ({"denied_requesters": (REQUESTER,)}, f"refuses the requester {REQUESTER}"),
        ({"categories": (0, 1)}, "category 2"),
        ({"price_floor": 11}, "but for 0.000000011 RLC at least"),
        ({"max_trust": 2}, "asks for 3"),
    ],
)
def test_what_does_not_fit_is_refused_and_told_why(admission: dict[str, Any], said: str) -> None:
    assert said in str(objection(DEAL, Admission(**admission)))


def test_a_list_of_datasets_admits_no_deal_without_one() -> None:
    bare = replace(DEAL, dataset=Resource())
    assert "the deal has none" in str(objection(bare, Admission(datasets=(DATASET,))))
    assert objection(bare, Admission(denied_datasets=(DATASET,))) is None


def test_trust_zero_is_trust_one() -> None:
    assert objection(deal(1), Admission(max_trust=0)) is None


REFUSED = turned_away(fresh(3), "the pool refuses the app")


def test_a_task_turned_away_is_not_opened_and_given_to_nobody() -> None:
    for now in (START, START + 10, REFUSED.chain.contribution_deadline, REFUSED.chain.final_deadline - 1):
        decision = decide(REFUSED, [e.Ticked()], now=now, candidates=9, policy=Policy())
        assert decision.commands == []
        assert decision.state.phase is Phase.FAILED
        assert replicas_missing(decision.state, now, Policy()) == 0
        assert wake_at(decision.state, now, Policy()) == REFUSED.chain.final_deadline


def test_a_task_turned_away_is_refunded_after_its_final_deadline() -> None:
    late = REFUSED.chain.final_deadline
    assert decide(REFUSED, [e.Ticked()], now=late, candidates=9).commands == [c.SubmitClaim(initialize=True)]


def test_a_task_turned_away_that_somebody_else_opened_is_given_to_nobody_and_claimed() -> None:
    opened = decide(REFUSED, [e.Initialized(5)], now=START, candidates=9)
    assert (opened.state.chain.status, opened.state.phase, opened.commands) == (TaskStatus.ACTIVE, Phase.FAILED, [])
    late = REFUSED.chain.final_deadline
    assert decide(opened.state, [e.Ticked()], now=late, candidates=9).commands == [c.SubmitClaim()]


def test_the_refusal_is_what_clients_are_told() -> None:
    view = task_view(decide(REFUSED, [e.Ticked()], now=START, candidates=0).state)
    assert view.cause is not None
    assert (view.cause.code, view.cause.what) == (DEAL_NOT_ADMITTED, "the pool refuses the app")
    assert "deal claim" in view.cause.remedy
    assert view.awaited is not None
    assert view.awaited.code == "REFUND"
    assert (view.date_status_list[-1].reason, view.date_status_list[-1].code) == (DEAL_NOT_ADMITTED,) * 2
    assert (REFUSED.deal_id, REFUSED.task_id, REFUSED.chain.timeref) == (DEAL_ID, TASK_ID, TIMEREF)


def sales(*offers: Offer) -> Sales:
    return Sales(market_url="http://market", offers=offers)


def test_offers_become_terms_in_their_order() -> None:
    found = terms_of(sales(Offer(category=0, price=5), Offer(category=1, price=7, trust=3, tag="gpu")), Admission())
    assert [(each.category, each.price, each.trust, int(each.tag, 16)) for each in found] == [
        (0, 5, 1, 0),
        (1, 7, 3, 1 << 8),
    ]
    assert {each.app for each in found} == {NULL_ADDRESS}


def test_there_are_terms_for_each_party_that_is_allowed() -> None:
    found = terms_of(sales(Offer(category=0, price=5)), Admission(apps=(APP, OTHER), requesters=(REQUESTER,)))
    assert [(each.app, each.dataset, each.requester) for each in found] == [
        (APP, NULL_ADDRESS, REQUESTER),
        (OTHER, NULL_ADDRESS, REQUESTER),
    ]


def test_what_is_denied_is_not_offered_though_it_is_allowed() -> None:
    found = terms_of(sales(Offer(category=0, price=5)), Admission(apps=(APP, OTHER), denied_apps=(OTHER,)))
    assert [each.app for each in found] == [APP]


@pytest.mark.parametrize(
    ("admission", "said"),
    [
        ({"categories": (1,)}, "category 0"),
        ({"price_floor": 6}, "below the pool's price floor"),
        ({"max_trust": 2}, "trust 3"),
        ({"apps": tuple(address(n) for n in range(MOST_TERMS + 1))}, "different orders"),
    ],
)
def test_offers_that_the_pool_would_not_admit_are_refused(admission: dict[str, Any], said: str) -> None:
    with pytest.raises(IexecError, match=said) as refused:
        terms_of(sales(Offer(category=0, price=5, trust=3)), Admission(**admission))
    assert refused.value.code == "BAD_SETTINGS"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Offer, {"category": -1, "price": 1}),
        (Offer, {"category": 0, "price": 1, "tag": "warp"}),
        (Offer, {"category": 0, "price": 1, "prize": 2}),
        (Sales, {"market_url": "http://market", "offers": [], "margin": -101}),
        (Admission, {"apps": ["0x12"]}),
    ],
)
def test_bad_settings_are_refused(kind: type, values: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, kind)
