"""What clients of the published index ask is answered in the form they know, from a real market's history."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from pyiexec.indexer.entities import ENTITIES, INTERFACES
from pyiexec.indexer.graphql.shaping import decimal_text

from .played import BULK_DATASETS, DEPLOYMENT, Indexed, indexed, played

__all__ = ["indexed", "played"]

ADDRESS, WORD = re.compile(r"0x[0-9a-f]{40}"), re.compile(r"0x[0-9a-f]{64}")
NUMBER, AMOUNT = re.compile(r"-?\d+"), re.compile(r"-?\d+(\.\d{0,8}[1-9])?")

DEALS = """
query ($length: Int = 16, $skip: Int = 0, $nextSkip: Int = 16) {
  deals(first: $length, skip: $skip, orderBy: timestamp, orderDirection: desc) {
    dealid: id
    timestamp
    botSize
    completedTasksCount
    claimedTasksCount
    app { address: id name }
    dataset { address: id name }
    bulk { id }
    workerpool { address: id description }
    appPrice
    datasetPrice
    workerpoolPrice
    category { catid: id workClockTimeRef }
  }
  dealsHasNext: deals(first: 1, skip: $nextSkip, orderBy: timestamp, orderDirection: desc) { dealid: id }
}
"""
APPS = """
query ($first: Int, $orderBy: App_orderBy, $orderDirection: OrderDirection, $recentFrom: BigInt) {
  apps(
    first: $first, orderBy: $orderBy, orderDirection: $orderDirection, where: { lastUsageTimestamp_gte: $recentFrom }
  ) {
    address: id
    owner { address: id }
    timestamp
    name
    usageCount
    transfers(orderBy: timestamp, orderDirection: desc) { transaction { txHash: id } }
  }
}
"""
TASK = """
query ($id: ID!) {
  task(id: $id) {
    taskid: id
    status
    index
    results
    resultDigest
    resultsCallback
    contributionDeadline
    finalDeadline
    bulkSlice { datasets { address: id name } }
    deal {
      dealid: id
      requester { address: id }
      beneficiary { address: id }
      callback { address: id }
      params
      tag
    }
    events: events(orderBy: timestamp, orderDirection: asc) {
      id
      type: __typename
      timestamp
      transaction { txHash: id }
      ... on TaskInitialize { workerpool { id } }
      ... on TaskContribute { worker { id } hash }
      ... on TaskConsensus { consensus }
      ... on TaskReveal { worker { id } digest }
      ... on TaskFinalize { results }
    }
  }
}
"""
SEARCH = """
query ($search: ID!) {
  app(id: $search) { id }
  dataset(id: $search) { id }
  workerpool(id: $search) { id }
  deal(id: $search) { id }
  task(id: $search) { id }
  account(id: $search) { id }
  transaction(id: $search) { id }
}
"""
ADDRESS_PAGE = """
query ($address: ID!, $first: Int) {
  account(id: $address) {
    address: id
    staked: balance
    locked: frozen
    score
    allApps: apps(first: 1000) { id }
    apps(first: $first, orderBy: timestamp, orderDirection: desc) { address: id name }
    datasets(first: 1000) { id }
    workerpools(first: 1000) { id }
    contributions(first: $first, orderBy: timestamp, orderDirection: desc) { task { taskid: id } timestamp status }
    dealRequester(first: $first, orderBy: startTime, orderDirection: desc) { dealid: id botSize }
    dealBeneficiary(first: $first) { dealid: id }
    taskRequester(first: $first, orderBy: timestamp, orderDirection: desc) { taskid: id status }
  }
}
"""
TRANSACTION = """
fragment Event on AccountEvent { id type: __typename account { id } transaction { id } }
query ($id: ID!, $where: String!) {
  transaction(id: $id) {
    txHash: id from { address: id } to { address: id } gasUsed gasPrice gasLimit blockNumber value
  }
  lock: locks(where: { transaction: $where }) { ...Event value }
  unlock: unlocks(where: { transaction: $where }) { ...Event value }
  reward: rewards(where: { transaction: $where }) { ...Event value task { id } }
  seize: seizes(where: { transaction: $where }) { ...Event value task { id } }
  accountEvents(where: { transaction: $where }) { ...Event }
  taskEvents(where: { transaction: $where }) { id type: __typename task { taskid: id } }
  workerpoolEvents(where: { transaction: $where }) { id type: __typename workerpool { id } }
  ordersMatcheds(where: { transaction: $where }) { id deal { id } }
  transfers(where: { transaction: $where }) { id from { id } to { id } value }
  appTransfers(where: { transaction: $where }) { id app { id } from { id } to { id } }
}
"""
BULK_DEALS = """
query ($dataset: ID!, $datasetId: String!) {
  dataset(id: $dataset) {
    usages(first: 8, orderBy: timestamp, orderDirection: desc) { dealid: id }
    bulkUsages(first: 8, orderBy: task__timestamp, orderDirection: desc) { task { id deal { id } } }
  }
  bulkSliceice(
    first: 8, orderBy: task__timestamp, orderDirection: desc, where: { datasets_: { id: $dataset } }
  ) { id index task { id } bulk { id hash deal { id } } datasets { id } datasetOrders { id dataset { id } volume tag } }
  again: bulkSliceice(where: { datasets_contains: [$datasetId] }) { id }
}
"""
ASSOCIATED_DEALS = """
query ($id: ID!) {
  deal(id: $id) {
    requestorder { id deals(where: { id_not: "0x" }, orderBy: timestamp) { id } }
    apporder { appprice app { id } } workerpoolorder { workerpoolprice } datasetorder { datasetprice }
    events { type: __typename transaction { id } }
    tasks(orderBy: index, orderDirection: asc) { index taskid: id status }
  }
}
"""


@contextmanager
def statements(indexed: Indexed) -> Iterator[list[str]]:
    """The SQL that is run meanwhile."""
    run: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            run.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_every_published_query_is_there(indexed: Indexed) -> None:
    roots = indexed.data("{ __schema { queryType { fields { name } } } }")["__schema"]["queryType"]["fields"]
    plurals = [
        "transactions",
        "accounts",
        "transfers",
        "accountEvents",
        "rewards",
        "seizes",
        "locks",
        "unlocks",
        "accurateContributions",
        "faultyContributions",
        "ressources",
        "apps",
        "datasets",
        "workerpools",
        "ressourceTransferEvents",
        "appTransfers",
        "datasetTransfers",
        "workerpoolTransfers",
        "workerpoolEvents",
        "schedulerNotices",
        "policyUpdates",
        "appOrders",
        "datasetOrders",
        "workerpoolOrders",
        "requestOrders",
        "categories",
        "deals",
        "bulks",
        "bulkSliceice",
        "tasks",
        "contributions",
        "dealEvents",
        "ordersMatcheds",
        "taskEvents",
        "taskInitializes",
        "taskContributes",
        "taskConsensuses",
        "taskReveals",
        "taskReopens",
        "taskFinalizes",
        "taskClaimeds",
        "protocols",
    ]
    singulars = [kind.singular for kind in (*ENTITIES.values(), *INTERFACES.values())]
    assert sorted(root["name"] for root in roots) == sorted([*plurals, *singulars, "_meta"])


def test_every_list_shows_each_of_its_objects_once(indexed: Indexed) -> None:
    for kind in (*ENTITIES.values(), *INTERFACES.values()):
        answer = indexed.data(f"{{ found: {kind.plural}(first: 1000) {{ id __typename }} }}")["found"]
        entities = [kind] if kind.name in ENTITIES else kind.implementations  # type: ignore[union-attr]
        rows = [
            (row["id"], entity.name)
            for entity in entities
            for row in indexed.rows[entity.table]
            if entity.kind in (None, row.get("kind"))
        ]
        assert [(item["id"], item["__typename"]) for item in answer] == sorted(rows)[:1000]


def test_the_list_of_deals_looks_as_clients_know_it(indexed: Indexed) -> None:
    answer = indexed.data(DEALS, length=1000, nextSkip=1000)
    assert answer["dealsHasNext"] == []
    deals = answer["deals"]
    assert len(deals) == len(indexed.rows["deals"]) > 30
    assert [deal["timestamp"] for deal in deals] == sorted((deal["timestamp"] for deal in deals), reverse=True)
    for deal in deals:
        assert WORD.fullmatch(deal["dealid"])
        assert all(NUMBER.fullmatch(deal[name]) for name in ("timestamp", "botSize", "completedTasksCount"))
        assert all(AMOUNT.fullmatch(deal[name]) for name in ("appPrice", "datasetPrice", "workerpoolPrice"))
        assert deal["category"] == {"catid": "0", "workClockTimeRef": "300"}
        assert ADDRESS.fullmatch(deal["app"]["address"])
    assert any(deal["dataset"] for deal in deals)
    assert any(deal["dataset"] is None for deal in deals)


def test_pages_follow_one_another_also_among_equals(indexed: Indexed) -> None:
    """On a fast chain many objects have the same time."""
    whole = [deal["dealid"] for deal in indexed.data(DEALS, length=1000)["deals"]]
    pages = [indexed.data(DEALS, length=7, skip=skip)["deals"] for skip in range(0, len(whole), 7)]
    assert [deal["dealid"] for page in pages for deal in page] == whole


def test_apps_are_ordered_by_use_with_variables_for_enumerations(indexed: Indexed) -> None:
    found = indexed.data(APPS, first=16, orderBy="usageCount", orderDirection="desc", recentFrom="1")["apps"]
    counts = [int(app["usageCount"]) for app in found]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 9, "or else text would be ordered as numbers are"
    assert all(app["transfers"][0]["transaction"]["txHash"] for app in found)


def test_a_task_tells_its_story_with_the_types_of_its_events(indexed: Indexed) -> None:
    done = [row["id"] for row in indexed.rows["tasks"] if row["status"] == "COMPLETED"]
    task = indexed.data(TASK, id=done[0])["task"]
    assert task["status"] == "COMPLETED"
    types = [event["type"] for event in task["events"]]
    assert types[0] == "TaskInitialize"
    assert types[-1] == "TaskFinalize"
    assert {"TaskContribute", "TaskConsensus", "TaskReveal"} <= set(types)
    assert bytes.fromhex(task["results"][2:]).startswith(b'{"storage":"ipfs"')
    (consensus,) = [event for event in task["events"] if event["type"] == "TaskConsensus"]
    assert set(consensus) == {"id", "type", "timestamp", "transaction", "consensus"}
    assert task["bulkSlice"] is None


def test_a_task_that_was_claimed_is_spelled_as_published(indexed: Indexed) -> None:
    statuses = Counter(item["status"] for item in indexed.data("{ tasks(first: 1000) { status } }")["tasks"])
    assert statuses["FAILLED"] > 0
    assert set(statuses) <= {"UNSET", "ACTIVE", "REVEALING", "COMPLETED", "FAILLED"}
    assert indexed.data("{ tasks(where: { status: FAILLED }) { id } }")["tasks"]


@pytest.mark.parametrize("table", ["apps", "datasets", "workerpools", "deals", "tasks", "accounts", "transactions"])
def test_a_search_finds_whatever_has_the_id(indexed: Indexed, table: str) -> None:
    wanted = indexed.rows[table][0]["id"]
    answer = indexed.data(SEARCH, search=wanted)
    assert answer[table.removesuffix("s")] == {"id": wanted}
    assert sum(found is not None for found in answer.values()) == 1


def test_an_address_shows_what_it_owns_and_did(indexed: Indexed) -> None:
    owner = indexed.rows["apps"][0]["owner"]
    answer = indexed.data(ADDRESS_PAGE, address=owner, first=8)["account"]
    assert {app["id"] for app in answer["allApps"]} == {
        app["id"] for app in indexed.rows["apps"] if app["owner"] == owner
    }
    (account,) = [row for row in indexed.rows["accounts"] if row["id"] == owner]
    assert answer["staked"] == decimal_text(account["balance"])
    assert AMOUNT.fullmatch(answer["staked"])
    requester = indexed.rows["deals"][0]["requester"]
    asked = indexed.data(ADDRESS_PAGE, address=requester, first=1000)["account"]
    assert {deal["dealid"] for deal in asked["dealRequester"]} == {
        deal["id"] for deal in indexed.rows["deals"] if deal["requester"] == requester
    }
    assert all(task["status"] for task in asked["taskRequester"])


def test_a_transaction_shows_the_events_of_all_kinds(indexed: Indexed) -> None:
    finalized = next(row for row in indexed.rows["task_events"] if row["kind"] == "TaskFinalize")
    answer = indexed.data(TRANSACTION, id=finalized["transaction"], where=finalized["transaction"])
    assert answer["transaction"]["txHash"] == finalized["transaction"]
    assert answer["transaction"]["gasUsed"] == answer["transaction"]["gasLimit"]
    assert finalized["id"] in {event["id"] for event in answer["taskEvents"]}
    kinds = Counter(event["type"] for event in answer["accountEvents"])
    assert kinds["Reward"] == len(answer["reward"]) > 0
    assert kinds["Seize"] == len(answer["seize"]) > 0
    assert answer["transfers"]
    assert all(event["account"]["id"] for event in answer["accountEvents"])


def test_bulk_deals_of_a_dataset_are_found_from_both_sides(indexed: Indexed) -> None:
    datasets = sorted(row["id"] for row in indexed.rows["datasets"])
    dataset = datasets[BULK_DATASETS[0]]
    answer = indexed.data(BULK_DEALS, dataset=dataset, datasetId=dataset)
    (piece,) = answer["bulkSliceice"]
    (usage,) = answer["dataset"]["bulkUsages"]
    assert usage["task"]["id"] == piece["task"]["id"]
    assert usage["task"]["deal"] == piece["bulk"]["deal"] == {"id": piece["bulk"]["id"]}
    assert piece["bulk"]["hash"] == "QmBulk"
    assert piece["index"] == "0"
    assert [item["id"] for item in piece["datasets"]] == datasets[:2], "each once, in the order of ids"
    orders = piece["datasetOrders"]
    assert [order["dataset"] for order in orders] == [None, {"id": datasets[0]}, {"id": datasets[1]}]
    assert orders[0]["volume"] == "9007199254740991"
    assert answer["again"] == [{"id": piece["id"]}]


def test_a_deal_knows_its_orders_and_their_other_deals(indexed: Indexed) -> None:
    bag = max(indexed.rows["deals"], key=lambda row: row["bot_size"])
    answer = indexed.data(ASSOCIATED_DEALS, id=bag["id"])["deal"]
    assert {"id": bag["id"]} in answer["requestorder"]["deals"]
    assert [event["type"] for event in answer["events"]] == ["OrdersMatched"]
    assert [int(task["index"]) for task in answer["tasks"]] == list(range(bag["bot_size"]))
    assert answer["apporder"]["app"] == {"id": bag["app"]}


def test_lists_within_lists_each_have_their_own_page(indexed: Indexed) -> None:
    query = """{ accounts(first: 1000) {
        id all: dealRequester(first: 1000, orderBy: timestamp) { id }
        some: dealRequester(first: 3, skip: 2, orderBy: timestamp) { id } } }"""
    accounts = indexed.data(query)["accounts"]
    assert max(len(account["all"]) for account in accounts) > 5
    for account in accounts:
        assert account["some"] == account["all"][2:5]


def test_a_query_costs_one_statement_for_each_relation_whatever_it_finds(indexed: Indexed) -> None:
    query = """query ($first: Int) { deals(first: $first) {
        app { owner { id } }
        tasks {
          contributions { worker { score } }
          events { __typename transaction { id } ... on TaskReveal { worker { id } } }
        }
        requester { dealRequester(first: 2) { id } } } }"""
    with statements(indexed) as few:
        indexed.data(query, first=2)
    with statements(indexed) as many:
        indexed.data(query, first=30)
    # The place of the index, the deals, and ten relations.
    assert len(few) == len(many) == 1 + 1 + 10


def test_objects_are_ordered_by_what_they_lead_to(indexed: Indexed) -> None:
    tasks = indexed.data("{ tasks(first: 1000, orderBy: deal__botSize) { id deal { botSize } } }")["tasks"]
    sizes = [int(task["deal"]["botSize"]) for task in tasks]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 9
    ressources = indexed.data(
        "{ ressources(first: 1000, orderBy: owner__balance, orderDirection: desc) { __typename id owner { balance } } }"
    )["ressources"]
    balances = [float(item["owner"]["balance"]) for item in ressources]
    assert balances == sorted(balances, reverse=True)
    assert {item["__typename"] for item in ressources} == {"App", "Dataset", "Workerpool"}


def test_enumerations_are_ordered_as_they_are_declared(indexed: Indexed) -> None:
    tasks = indexed.data("{ tasks(first: 1000, orderBy: status) { status } }")["tasks"]
    declared = ["UNSET", "ACTIVE", "REVEALING", "COMPLETED", "FAILLED"]
    places = [declared.index(task["status"]) for task in tasks]
    assert places == sorted(places)
    assert len(set(places)) > 1


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_what_is_missing_is_ordered_after_everything(indexed: Indexed, direction: str) -> None:
    query = f"{{ deals(first: 1000, orderBy: dataset, orderDirection: {direction}) {{ dataset {{ id }} }} }}"
    present = [deal["dataset"] is not None for deal in indexed.data(query)["deals"]]
    assert present == sorted(present, reverse=direction == "asc")
    assert len(set(present)) == 2


def test_the_index_tells_its_block_and_takes_it_as_an_argument(indexed: Indexed, played: Any) -> None:
    meta = indexed.data("{ _meta { block { number hash timestamp } deployment hasIndexingErrors } }")["_meta"]
    assert meta["deployment"] == DEPLOYMENT
    assert meta["hasIndexingErrors"] is False
    assert meta["block"]["number"] == played.history.head
    number, block_hash = meta["block"]["number"], meta["block"]["hash"]
    for block in (f"number: {number}", f'hash: "{block_hash}"', f"number_gte: {number - 1}"):
        assert indexed.data(f"{{ deals(first: 1, block: {{ {block} }}) {{ id }} }}")["deals"]
    for block, words in {
        f"number: {number - 1}": "newest block",
        f'hash: "0x{"00" * 32}"': "newest block",
        f"number_gte: {number + 1}": "not yet",
        f'number: {number}, hash: "{block_hash}"': "one of",
    }.items():
        assert words in indexed.refusal(f"{{ deals(block: {{ {block} }}) {{ id }} }}")
        assert words in indexed.refusal(f"{{ _meta(block: {{ {block} }}) {{ deployment }} }}")


def test_fragments_directives_and_names_of_types_work_everywhere(indexed: Indexed) -> None:
    query = """
        query Two($with: Boolean!) {
          __typename
          ressources(first: 1) { ...What ... on App { name @include(if: $with) } }
          none: ressources(first: 1) { ...What @skip(if: $with) __typename }
        }
        fragment What on Ressource { kind: __typename owner { ... on Account { id } } }
    """
    answer = indexed.data(query, **{"with": True})
    assert answer["__typename"] == "Query"
    assert set(answer["none"][0]) == {"__typename"}
    assert set(answer["ressources"][0]) >= {"kind", "owner"}


def test_null_in_variables_is_as_nothing(indexed: Indexed) -> None:
    query = """
      query ($first: Int, $skip: Int, $orderBy: Deal_orderBy, $direction: OrderDirection, $where: Deal_filter) {
        deals(first: $first, skip: $skip, orderBy: $orderBy, orderDirection: $direction, where: $where) { id } }"""
    empty = dict.fromkeys(("first", "skip", "orderBy", "direction", "where"))
    assert indexed.data(query, **empty) == indexed.data("{ deals { id } }")


def test_a_list_is_of_a_hundred_unless_told_otherwise(indexed: Indexed) -> None:
    assert len(indexed.data("{ transactions { id } }")["transactions"]) == 100
    assert indexed.data("{ transactions(first: 0) { id } }")["transactions"] == []


def test_what_must_lead_somewhere_and_does_not_is_an_error_with_its_path(indexed: Indexed) -> None:
    """A reward refers to a task; where that is one the index does not know, the reward cannot be shown."""

    def lose(connection: sa.Connection) -> str:
        from pyiexec.indexer.tables import TABLES

        events = TABLES["account_events"]
        event: str = connection.execute(sa.select(events.c.id).where(events.c.kind == "Reward").order_by("id")).scalar()
        connection.execute(sa.update(events).where(events.c.id == event).values(task="0x" + "11" * 32))
        return event

    event = indexed.run(indexed.index.database.write(lose))
    answer = indexed.answer(f'{{ reward(id: "{event}") {{ id task {{ id }} }} other: protocols {{ id }} }}')
    assert answer["data"] == {"reward": None, "other": [{"id": "iExec"}]}
    assert answer["errors"][0]["path"] == ["reward", "task"]
    listed = indexed.answer(f'{{ rewards(where: {{ id: "{event}" }}) {{ task {{ id }} }} }}')
    assert listed["data"] is None
    assert listed["errors"][0]["path"] == ["rewards", 0, "task"]
