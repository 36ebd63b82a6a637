"""The types of the published index, a field a line; how to read the lines is told in `entities`.

Source: schema of the PoCo subgraph 2.1.2.
"""

from __future__ import annotations

from collections.abc import Mapping

_EVENT = """
    id: ID!
    transaction: Transaction!
    timestamp: BigInt!
"""
_TRANSFER_OF_RESSOURCE = _EVENT + "from: Account!\nto: Account!\n"

#: Interfaces: table of the implementations, fields.
INTERFACES: Mapping[str, tuple[str | None, str]] = {
    "AccountEvent": ("account_events", _EVENT + "account: Account!"),
    "Ressource": (None, "id: ID!\nowner: Account!"),
    "RessourceTransferEvent": ("ressource_transfer_events", _TRANSFER_OF_RESSOURCE),
    "WorkerpoolEvent": ("workerpool_events", _EVENT + "workerpool: Workerpool!"),
    "DealEvent": ("deal_events", _EVENT + "deal: Deal!"),
    "TaskEvent": ("task_events", _EVENT + "task: Task!"),
}

#: Types: interface, and the fields beyond those of the interface.
TYPES: Mapping[str, tuple[str | None, str]] = {
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
