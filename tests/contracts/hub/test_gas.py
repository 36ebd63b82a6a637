"""What a task costs. `make bench-gas` compares with the reference; this keeps the figures from creeping up."""

from __future__ import annotations

from typing import Any

#: Gas of one task at trust 1 with a dataset, 145 bytes of params and a result link of 84 bytes.
MOST = {"match": 340_000, "initialize": 83_000, "contribute": 137_000, "reveal": 50_500, "finalize": 205_000}
PARAMS = '{"iexec_args":"' + "x" * 128 + '"}'


def test_a_task_stays_within_its_gas(market: Any) -> None:
    assert len(PARAMS) == 145
    worker = market.workers[0]
    match = market.match(params=PARAMS)
    used = {
        "match": match.receipt.gas,
        "initialize": market.send("initialize", match.id, 0, sender=market.stranger).gas,
        "contribute": market.contribute(match.task(), worker).gas,
        "reveal": market.reveal(match.task(), worker).gas,
        "finalize": market.finalize(match.task(), b"x" * 84).gas,
    }
    assert {step: gas for step, gas in used.items() if gas > MOST[step]} == {}


def test_a_deal_that_continues_an_order_costs_no_more_than_its_first(market: Any) -> None:
    request = market.request_order(volume=2)
    first = market.match(request=request, workerpool=market.workerpool_order(volume=1))
    second = market.match(request=request)
    assert second.receipt.gas < first.receipt.gas + 10_000
