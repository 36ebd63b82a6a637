"""What the index holds: the published schema of PoCo's index, from which tables and the GraphQL schema are both made.

Each entity is written down once, one field a line::

    name: Type!           a value, or an object of another entity; `!` when never null
    names: [Type!]!       a list that is stored with the entity, in a table of its own
    names: [Type!]! < f   not stored: the objects of `Type` whose field `f` is this entity, or holds it

Spellings such as ``FAILLED`` and ``bulkSliceice`` are what clients ask for.

Source: schema of the PoCo subgraph 2.1.2. Amounts are RLC with nine decimals on the wire, nRLC as integers in rows;
times are seconds; addresses and hashes lower-case hexadecimal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

#: Kinds of values. ``Int`` is a JSON number on the wire, all others are texts.
SCALARS = frozenset({"ID", "String", "Bytes", "BigInt", "BigDecimal", "Int"})

ENUMS: Mapping[str, tuple[str, ...]] = {
    "TaskStatus": ("UNSET", "ACTIVE", "REVEALING", "COMPLETED", "FAILLED"),
    "ContributionStatus": ("UNSET", "CONTRIBUTED", "PROVED", "REJECTED"),
}

#: Numbers that 64 bits hold by the rules of the chain itself; any other number may be as long as 256 bits.
_SHORT_NUMBERS = frozenset({"timestamp", "blockNumber", "gasLimit", "gasUsed", "startTime", "lastUsageTimestamp"})

#: Of the table of a stored list: id of the entity, place in the list from 0, id of the member.
LIST_COLUMNS = ("parent", "position", "child")

_LINE = re.compile(r"(?P<name>\w+): (?:(?P<type>\w+)|\[(?P<member>\w+)!])(?P<required>!?)(?: < (?P<by>\w+))?")


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an entity.

    Attributes:
        name: as clients spell it.
        type: a scalar, an enumeration, an entity or an interface.
        required: never null.
        many: a list.
        derived_by: when it is not stored, the field of `type` that points here.
        list_table: for a list that is stored, the table of its members (`LIST_COLUMNS`).
    """

    name: str
    type: str
    required: bool
    many: bool = False
    derived_by: str | None = None
    list_table: str | None = None

    @property
    def column(self) -> str:
        """Name of the column that holds it; for a relation, the id it points to."""
        return snake_case(self.name)

    @property
    def is_stored(self) -> bool:
        """Whether the table of the entity has a column for it."""
        return not self.many and self.derived_by is None

    @property
    def is_relation(self) -> bool:
        """Whether it leads to other entities."""
        return self.type not in SCALARS and self.type not in ENUMS

    @property
    def is_short(self) -> bool:
        """Whether a 64-bit integer holds it."""
        return self.name in _SHORT_NUMBERS


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """A type of objects.

    Attributes:
        name: of the GraphQL type.
        fields: by name, in published order.
        interface: the interface it implements.
        table: where its objects are rows. Events that share an interface share a table, whose column ``kind`` tells
            the type.
    """

    name: str
    fields: Mapping[str, Field]
    interface: str | None = None
    table: str

    @property
    def kind(self) -> str | None:
        """Its name in the column ``kind``, None where the table is its own."""
        return self.name if self.interface and INTERFACES[self.interface].table else None

    @property
    def singular(self) -> str:
        """Name of the query for one."""
        return _lower_first(self.name)

    @property
    def plural(self) -> str:
        """Name of the query for many."""
        return plural_of(self.name)

    @property
    def stored(self) -> tuple[Field, ...]:
        """The fields with a column."""
        return tuple(field for field in self.fields.values() if field.is_stored)


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """What several types have in common.

    Attributes:
        table: the table that its implementations share; None when each has one of its own.
    """

    name: str
    fields: Mapping[str, Field]
    table: str | None

    @property
    def implementations(self) -> tuple[Entity, ...]:
        """The types, in published order."""
        return tuple(entity for entity in ENTITIES.values() if entity.interface == self.name)

    @property
    def singular(self) -> str:
        """Name of the query for one."""
        return _lower_first(self.name)

    @property
    def plural(self) -> str:
        """Name of the query for many."""
        return plural_of(self.name)


def snake_case(name: str) -> str:
    """``appPrice`` as ``app_price``."""
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: "_" + match[0], name).lower()


def _lower_first(name: str) -> str:
    return name[0].lower() + name[1:]


#: Plurals that follow no rule one would guess.
_PLURALS = {
    "Category": "categories",
    "BulkSlice": "bulkSliceice",
    "TaskConsensus": "taskConsensuses",
}


def plural_of(name: str) -> str:
    """Name of the query for many objects of a type, as clients know it."""
    return _PLURALS.get(name, _lower_first(name) + "s")


def _table_of(name: str) -> str:
    return snake_case("Categorie" if name == "Category" else name) + "s"


def _read_fields(text: str, table: str) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"not a field: {line}")
        many, derived_by = bool(found["member"]), found["by"]
        fields[found["name"]] = Field(
            name=found["name"],
            type=found["member"] or found["type"],
            required=bool(found["required"]),
            many=many,
            derived_by=derived_by,
            list_table=f"{table}_{snake_case(found['name'])}" if many and derived_by is None else None,
        )
    return fields


_EVENT = """
    id: ID!
    transaction: Transaction!
    timestamp: BigInt!
"""
_TRANSFER_OF_RESSOURCE = _EVENT + "from: Account!\nto: Account!\n"

#: Interfaces: table of the implementations, fields.
_INTERFACES: Mapping[str, tuple[str | None, str]] = {
    "AccountEvent": ("account_events", _EVENT + "account: Account!"),
    "Ressource": (None, "id: ID!\nowner: Account!"),
    "RessourceTransferEvent": ("ressource_transfer_events", _TRANSFER_OF_RESSOURCE),
    "WorkerpoolEvent": ("workerpool_events", _EVENT + "workerpool: Workerpool!"),
    "DealEvent": ("deal_events", _EVENT + "deal: Deal!"),
    "TaskEvent": ("task_events", _EVENT + "task: Task!"),
}

#: Types: interface, and the fields beyond those of the interface.
_TYPES: Mapping[str, tuple[str | None, str]] = {
    "Transaction": (
        None,
        """
        id: ID!
        from: Account
        to: Account
        value: BigInt!
        gasLimit: BigInt!
        gasUsed: BigInt!
        gasPrice: BigInt!
        timestamp: BigInt!
        blockNumber: BigInt!
        accountEvents: [AccountEvent!]! < transaction
        taskEvents: [TaskEvent!]! < transaction
        workerpoolEvents: [WorkerpoolEvent!]! < transaction
        ressourceTransferEvent: [RessourceTransferEvent!]! < transaction
        """,
    ),
    "Account": (
        None,
        """
        id: ID!
        balance: BigDecimal!
        frozen: BigDecimal!
        score: BigInt!
        transfersFrom: [Transfer!]! < from
        transfersTo: [Transfer!]! < to
        events: [AccountEvent!]! < account
        contributions: [Contribution!]! < worker
        apps: [App!]! < owner
        datasets: [Dataset!]! < owner
        workerpools: [Workerpool!]! < owner
        dealRequester: [Deal!]! < requester
        dealBeneficiary: [Deal!]! < beneficiary
        dealCallback: [Deal!]! < callback
        taskRequester: [Task!]! < requester
        orderRequester: [RequestOrder!]! < requester
        orderBeneficiary: [RequestOrder!]! < beneficiary
        orderCallback: [RequestOrder!]! < callback
        transactions: [Transaction!]! < from
        """,
    ),
    "Transfer": (None, _TRANSFER_OF_RESSOURCE + "value: BigDecimal!"),
    "Reward": ("AccountEvent", "value: BigDecimal!\ntask: Task!"),
    "Seize": ("AccountEvent", "value: BigDecimal!\ntask: Task!"),
    "Lock": ("AccountEvent", "value: BigDecimal!"),
    "Unlock": ("AccountEvent", "value: BigDecimal!"),
    "AccurateContribution": ("AccountEvent", "contribution: Contribution!\nscore: BigInt!"),
    "FaultyContribution": ("AccountEvent", "contribution: Contribution!\nscore: BigInt!"),
    "App": (
        "Ressource",
        """
        name: String!
        type: String!
        multiaddr: Bytes!
        checksum: Bytes!
        mrenclave: Bytes!
        timestamp: BigInt!
        usageCount: BigInt!
        lastUsageTimestamp: BigInt!
        usages: [Deal!]! < app
        orders: [AppOrder!]! < app
        transfers: [AppTransfer!]! < app
        """,
    ),
    "Dataset": (
        "Ressource",
        """
        name: String!
        multiaddr: Bytes!
        checksum: Bytes!
        timestamp: BigInt!
        usages: [Deal!]! < dataset
        bulkUsages: [BulkSlice!]! < datasets
        orders: [DatasetOrder!]! < dataset
        transfers: [DatasetTransfer!]! < dataset
        """,
    ),
    "Workerpool": (
        "Ressource",
        """
        description: String!
        workerStakeRatio: BigInt!
        schedulerRewardRatio: BigInt!
        timestamp: BigInt!
        usageCount: BigInt!
        lastUsageTimestamp: BigInt!
        usages: [Deal!]! < workerpool
        orders: [WorkerpoolOrder!]! < workerpool
        events: [WorkerpoolEvent!]! < workerpool
        transfers: [WorkerpoolTransfer!]! < workerpool
        """,
    ),
    "AppTransfer": ("RessourceTransferEvent", "app: App!"),
    "DatasetTransfer": ("RessourceTransferEvent", "dataset: Dataset!"),
    "WorkerpoolTransfer": ("RessourceTransferEvent", "workerpool: Workerpool!"),
    "SchedulerNotice": ("WorkerpoolEvent", "deal: Deal!"),
    "PolicyUpdate": (
        "WorkerpoolEvent",
        """
        oldWorkerStakeRatio: BigInt!
        newWorkerStakeRatio: BigInt!
        oldSchedulerRewardRatio: BigInt!
        newSchedulerRewardRatio: BigInt!
        """,
    ),
    "AppOrder": (
        None,
        """
        id: ID!
        app: App!
        appprice: BigDecimal!
        volume: BigInt
        tag: Bytes
        datasetrestrict: Bytes
        workerpoolrestrict: Bytes
        requesterrestrict: Bytes
        salt: Bytes
        sign: Bytes
        deals: [Deal!]! < apporder
        """,
    ),
    "DatasetOrder": (
        None,
        """
        id: ID!
        dataset: Dataset
        datasetprice: BigDecimal!
        volume: BigInt
        tag: Bytes
        apprestrict: Bytes
        workerpoolrestrict: Bytes
        requesterrestrict: Bytes
        salt: Bytes
        sign: Bytes
        deals: [Deal!]! < datasetorder
        """,
    ),
    "WorkerpoolOrder": (
        None,
        """
        id: ID!
        workerpool: Workerpool!
        workerpoolprice: BigDecimal!
        volume: BigInt
        tag: Bytes
        category: Category
        trust: BigInt
        apprestrict: Bytes
        datasetrestrict: Bytes
        requesterrestrict: Bytes
        salt: Bytes
        sign: Bytes
        deals: [Deal!]! < workerpoolorder
        """,
    ),
    "RequestOrder": (
        None,
        """
        id: ID!
        app: App
        appmaxprice: BigDecimal
        dataset: Dataset
        datasetmaxprice: BigDecimal
        workerpool: Workerpool
        workerpoolmaxprice: BigDecimal
        requester: Account!
        volume: BigInt
        tag: Bytes
        category: Category
        trust: BigInt
        beneficiary: Account
        callback: Account
        params: String
        salt: Bytes
        sign: Bytes
        deals: [Deal!]! < requestorder
        """,
    ),
    "Category": (
        None,
        """
        id: ID!
        name: String!
        description: String!
        workClockTimeRef: BigInt!
        timestamp: BigInt!
        deals: [Deal!]! < category
        """,
    ),
    "Deal": (
        None,
        """
        id: ID!
        tasks: [Task!]! < deal
        app: App!
        appOwner: Account!
        appPrice: BigDecimal!
        dataset: Dataset
        datasetOwner: Account!
        datasetPrice: BigDecimal!
        workerpool: Workerpool!
        workerpoolOwner: Account!
        workerpoolPrice: BigDecimal!
        trust: BigInt!
        category: Category!
        tag: Bytes!
        requester: Account!
        beneficiary: Account!
        callback: Account!
        params: String!
        startTime: BigInt!
        botFirst: BigInt!
        botSize: BigInt!
        completedTasksCount: BigInt!
        claimedTasksCount: BigInt!
        workerStake: BigInt!
        schedulerRewardRatio: BigInt!
        sponsor: Account!
        timestamp: BigInt!
        apporder: AppOrder
        datasetorder: DatasetOrder
        workerpoolorder: WorkerpoolOrder
        requestorder: RequestOrder
        events: [DealEvent!]! < deal
        bulk: Bulk
        """,
    ),
    "Bulk": (
        None,
        """
        id: ID!
        hash: String!
        slices: [BulkSlice!]! < bulk
        deal: Deal! < bulk
        """,
    ),
    "BulkSlice": (
        None,
        """
        id: ID!
        bulk: Bulk!
        hash: String!
        task: Task
        index: BigInt!
        datasets: [Dataset!]!
        datasetOrders: [DatasetOrder!]!
        """,
    ),
    "Task": (
        None,
        """
        id: ID!
        status: TaskStatus!
        deal: Deal!
        index: BigInt!
        requester: Account!
        contributions: [Contribution!]! < task
        consensus: Bytes
        resultDigest: Bytes
        results: String
        resultsCallback: String
        contributionDeadline: BigInt!
        revealDeadline: BigInt
        finalDeadline: BigInt!
        timestamp: BigInt!
        rewards: [Reward!]! < task
        seizes: [Seize!]! < task
        events: [TaskEvent!]! < task
        bulkSlice: BulkSlice < task
        """,
    ),
    "Contribution": (
        None,
        """
        id: ID!
        status: ContributionStatus!
        timestamp: Int!
        task: Task!
        worker: Account!
        hash: Bytes!
        seal: Bytes!
        challenge: Bytes!
        """,
    ),
    "OrdersMatched": ("DealEvent", ""),
    "TaskInitialize": ("TaskEvent", "workerpool: Workerpool!"),
    "TaskContribute": ("TaskEvent", "worker: Account!\nhash: Bytes!"),
    "TaskConsensus": ("TaskEvent", "consensus: Bytes!"),
    "TaskReveal": ("TaskEvent", "worker: Account!\ndigest: Bytes!"),
    "TaskReopen": ("TaskEvent", ""),
    "TaskFinalize": ("TaskEvent", "results: Bytes!"),
    "TaskClaimed": ("TaskEvent", ""),
    "Protocol": (
        None,
        """
        id: ID!
        categoriesCount: BigInt!
        appsCount: BigInt!
        datasetsCount: BigInt!
        workerpoolsCount: BigInt!
        dealsCount: BigInt!
        tasksCount: BigInt!
        completedTasksCount: BigInt!
        claimedTasksCount: BigInt!
        tvl: BigDecimal!
        """,
    ),
}


def _read_interface(name: str, table: str | None, text: str) -> Interface:
    return Interface(name=name, fields=_read_fields(text, table or ""), table=table)


def _read_entity(name: str, interface: str | None, text: str) -> Entity:
    inherited = INTERFACES[interface] if interface else None
    table = inherited.table if inherited and inherited.table else _table_of(name)
    fields = (dict(inherited.fields) if inherited else {}) | _read_fields(text, table)
    return Entity(name=name, fields=fields, interface=interface, table=table)


INTERFACES: Mapping[str, Interface] = {
    name: _read_interface(name, table, text) for name, (table, text) in _INTERFACES.items()
}
ENTITIES: Mapping[str, Entity] = {
    name: _read_entity(name, interface, text) for name, (interface, text) in _TYPES.items()
}
