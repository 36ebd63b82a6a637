// The entities of PoCo's index. As in ours, events that are asked for together share a table and tell their kind.
import { index, onchainEnum, onchainTable } from "ponder";

export const taskStatus = onchainEnum("task_status", ["UNSET", "ACTIVE", "REVEALING", "COMPLETED", "FAILLED"]);
export const contributionStatus = onchainEnum("contribution_status", ["UNSET", "CONTRIBUTED", "PROVED", "REJECTED"]);

export const transaction = onchainTable(
  "transaction",
  (t) => ({
    id: t.hex().primaryKey(),
    from: t.hex().notNull(),
    to: t.hex(),
    value: t.bigint().notNull(),
    gasLimit: t.bigint().notNull(),
    gasUsed: t.bigint().notNull(),
    gasPrice: t.bigint().notNull(),
    timestamp: t.bigint().notNull(),
    blockNumber: t.bigint().notNull(),
  }),
  (table) => ({ fromIdx: index().on(table.from) }),
);

export const account = onchainTable("account", (t) => ({
  id: t.hex().primaryKey(),
  balance: t.bigint().notNull(),
  frozen: t.bigint().notNull(),
  score: t.bigint().notNull(),
}));

export const transfer = onchainTable(
  "transfer",
  (t) => ({
    id: t.text().primaryKey(),
    transaction: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
    from: t.hex().notNull(),
    to: t.hex().notNull(),
    value: t.bigint().notNull(),
  }),
  (table) => ({ fromIdx: index().on(table.from), toIdx: index().on(table.to) }),
);

export const accountEvent = onchainTable(
  "account_event",
  (t) => ({
    id: t.text().primaryKey(),
    kind: t.text().notNull(),
    transaction: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
    account: t.hex().notNull(),
    value: t.bigint(),
    task: t.hex(),
    contribution: t.text(),
    score: t.bigint(),
  }),
  (table) => ({
    transactionIdx: index().on(table.transaction),
    accountIdx: index().on(table.account),
    taskIdx: index().on(table.task),
  }),
);

export const app = onchainTable(
  "app",
  (t) => ({
    id: t.hex().primaryKey(),
    owner: t.hex().notNull(),
    name: t.text().notNull(),
    type: t.text().notNull(),
    multiaddr: t.hex().notNull(),
    checksum: t.hex().notNull(),
    mrenclave: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
    usageCount: t.bigint().notNull(),
    lastUsageTimestamp: t.bigint().notNull(),
  }),
  (table) => ({ ownerIdx: index().on(table.owner) }),
);

export const dataset = onchainTable(
  "dataset",
  (t) => ({
    id: t.hex().primaryKey(),
    owner: t.hex().notNull(),
    name: t.text().notNull(),
    multiaddr: t.hex().notNull(),
    checksum: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
  }),
  (table) => ({ ownerIdx: index().on(table.owner) }),
);

export const workerpool = onchainTable(
  "workerpool",
  (t) => ({
    id: t.hex().primaryKey(),
    owner: t.hex().notNull(),
    description: t.text().notNull(),
    workerStakeRatio: t.bigint().notNull(),
    schedulerRewardRatio: t.bigint().notNull(),
    timestamp: t.bigint().notNull(),
    usageCount: t.bigint().notNull(),
    lastUsageTimestamp: t.bigint().notNull(),
  }),
  (table) => ({ ownerIdx: index().on(table.owner) }),
);

export const ressourceTransferEvent = onchainTable(
  "ressource_transfer_event",
  (t) => ({
    id: t.text().primaryKey(),
    kind: t.text().notNull(),
    transaction: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
    from: t.hex().notNull(),
    to: t.hex().notNull(),
    asset: t.hex().notNull(),
  }),
  (table) => ({ transactionIdx: index().on(table.transaction), assetIdx: index().on(table.asset) }),
);

export const workerpoolEvent = onchainTable(
  "workerpool_event",
  (t) => ({
    id: t.text().primaryKey(),
    kind: t.text().notNull(),
    transaction: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
    workerpool: t.hex().notNull(),
    deal: t.hex(),
    oldWorkerStakeRatio: t.bigint(),
    newWorkerStakeRatio: t.bigint(),
    oldSchedulerRewardRatio: t.bigint(),
    newSchedulerRewardRatio: t.bigint(),
  }),
  (table) => ({ transactionIdx: index().on(table.transaction), workerpoolIdx: index().on(table.workerpool) }),
);

export const appOrder = onchainTable(
  "app_order",
  (t) => ({ id: t.hex().primaryKey(), app: t.hex().notNull(), appprice: t.bigint().notNull() }),
  (table) => ({ appIdx: index().on(table.app) }),
);

export const datasetOrder = onchainTable(
  "dataset_order",
  (t) => ({ id: t.hex().primaryKey(), dataset: t.hex().notNull(), datasetprice: t.bigint().notNull() }),
  (table) => ({ datasetIdx: index().on(table.dataset) }),
);

export const workerpoolOrder = onchainTable(
  "workerpool_order",
  (t) => ({ id: t.hex().primaryKey(), workerpool: t.hex().notNull(), workerpoolprice: t.bigint().notNull() }),
  (table) => ({ workerpoolIdx: index().on(table.workerpool) }),
);

export const requestOrder = onchainTable(
  "request_order",
  (t) => ({ id: t.hex().primaryKey(), requester: t.hex().notNull() }),
  (table) => ({ requesterIdx: index().on(table.requester) }),
);

export const category = onchainTable("category", (t) => ({
  id: t.text().primaryKey(),
  name: t.text().notNull(),
  description: t.text().notNull(),
  workClockTimeRef: t.bigint().notNull(),
  timestamp: t.bigint().notNull(),
}));

export const deal = onchainTable(
  "deal",
  (t) => ({
    id: t.hex().primaryKey(),
    app: t.hex().notNull(),
    appOwner: t.hex().notNull(),
    appPrice: t.bigint().notNull(),
    dataset: t.hex(),
    datasetOwner: t.hex().notNull(),
    datasetPrice: t.bigint().notNull(),
    workerpool: t.hex().notNull(),
    workerpoolOwner: t.hex().notNull(),
    workerpoolPrice: t.bigint().notNull(),
    trust: t.bigint().notNull(),
    category: t.text().notNull(),
    tag: t.hex().notNull(),
    requester: t.hex().notNull(),
    beneficiary: t.hex().notNull(),
    callback: t.hex().notNull(),
    params: t.text().notNull(),
    startTime: t.bigint().notNull(),
    botFirst: t.bigint().notNull(),
    botSize: t.bigint().notNull(),
    completedTasksCount: t.bigint().notNull(),
    claimedTasksCount: t.bigint().notNull(),
    workerStake: t.bigint().notNull(),
    schedulerRewardRatio: t.bigint().notNull(),
    sponsor: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
    apporder: t.hex().notNull(),
    datasetorder: t.hex(),
    workerpoolorder: t.hex().notNull(),
    requestorder: t.hex().notNull(),
    bulk: t.text(),
  }),
  (table) => ({
    appIdx: index().on(table.app),
    datasetIdx: index().on(table.dataset),
    workerpoolIdx: index().on(table.workerpool),
    requesterIdx: index().on(table.requester),
    beneficiaryIdx: index().on(table.beneficiary),
    requestorderIdx: index().on(table.requestorder),
  }),
);

export const task = onchainTable(
  "task",
  (t) => ({
    id: t.hex().primaryKey(),
    status: taskStatus().notNull(),
    deal: t.hex().notNull(),
    index: t.bigint().notNull(),
    requester: t.hex().notNull(),
    consensus: t.hex(),
    resultDigest: t.hex(),
    results: t.text(),
    resultsCallback: t.text(),
    contributionDeadline: t.bigint().notNull(),
    revealDeadline: t.bigint(),
    finalDeadline: t.bigint().notNull(),
    timestamp: t.bigint().notNull(),
  }),
  (table) => ({ dealIdx: index().on(table.deal), requesterIdx: index().on(table.requester) }),
);

export const contribution = onchainTable(
  "contribution",
  (t) => ({
    id: t.text().primaryKey(),
    status: contributionStatus().notNull(),
    timestamp: t.integer().notNull(),
    task: t.hex().notNull(),
    worker: t.hex().notNull(),
    hash: t.hex().notNull(),
    seal: t.hex().notNull(),
    challenge: t.hex().notNull(),
  }),
  (table) => ({ taskIdx: index().on(table.task), workerIdx: index().on(table.worker) }),
);

export const dealEvent = onchainTable(
  "deal_event",
  (t) => ({
    id: t.text().primaryKey(),
    kind: t.text().notNull(),
    transaction: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
    deal: t.hex().notNull(),
  }),
  (table) => ({ dealIdx: index().on(table.deal) }),
);

export const taskEvent = onchainTable(
  "task_event",
  (t) => ({
    id: t.text().primaryKey(),
    kind: t.text().notNull(),
    transaction: t.hex().notNull(),
    timestamp: t.bigint().notNull(),
    task: t.hex().notNull(),
    workerpool: t.hex(),
    worker: t.hex(),
    hash: t.hex(),
    consensus: t.hex(),
    digest: t.hex(),
    results: t.hex(),
  }),
  (table) => ({ transactionIdx: index().on(table.transaction), taskIdx: index().on(table.task) }),
);

export const protocol = onchainTable("protocol", (t) => ({
  id: t.text().primaryKey(),
  categoriesCount: t.bigint().notNull(),
  appsCount: t.bigint().notNull(),
  datasetsCount: t.bigint().notNull(),
  workerpoolsCount: t.bigint().notNull(),
  dealsCount: t.bigint().notNull(),
  tasksCount: t.bigint().notNull(),
  completedTasksCount: t.bigint().notNull(),
  claimedTasksCount: t.bigint().notNull(),
  tvl: t.bigint().notNull(),
}));
