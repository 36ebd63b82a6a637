import { ponder } from "ponder:registry";
import {
  app,
  appOrder,
  category,
  datasetOrder,
  deal,
  dealEvent,
  requestOrder,
  workerpool,
  workerpoolEvent,
  workerpoolOrder,
} from "ponder:schema";
import { NOBODY, count, meet, remember } from "./store";

ponder.on("Hub:CreateCategory", async ({ event, context }) => {
  const { catid, name, description, workClockTimeRef } = event.args;
  const fields = { name, description, workClockTimeRef, timestamp: event.block.timestamp };
  const known = await context.db.find(category, { id: String(catid) });
  await context.db
    .insert(category)
    .values({ id: String(catid), ...fields })
    .onConflictDoUpdate(fields);
  if (known === null) await count(context, { categoriesCount: 1n });
  await remember(context, event);
});

/** The file of a bulk deal, if the parameters name one. */
function bulkOf(params: string): string | undefined {
  try {
    const { bulk_cid: cid } = JSON.parse(params) ?? {};
    return typeof cid === "string" ? cid : undefined;
  } catch {
    return undefined;
  }
}

ponder.on("Hub:OrdersMatched", async ({ event, context }) => {
  const { dealid, appHash, datasetHash, workerpoolHash, requestHash } = event.args;
  const { abi, address } = context.contracts.Hub;
  const seen = await context.client.readContract({ abi, address, functionName: "viewDeal", args: [dealid] });
  const { timestamp } = event.block;
  const { requester, beneficiary, callback, sponsor, botSize } = seen;
  const hasDataset = seen.dataset.pointer !== NOBODY;
  await meet(context, requester, beneficiary, callback, sponsor);
  await context.db.insert(deal).values({
    id: dealid,
    app: seen.app.pointer,
    appOwner: seen.app.owner,
    appPrice: seen.app.price,
    dataset: hasDataset ? seen.dataset.pointer : null,
    datasetOwner: seen.dataset.owner,
    datasetPrice: seen.dataset.price,
    workerpool: seen.workerpool.pointer,
    workerpoolOwner: seen.workerpool.owner,
    workerpoolPrice: seen.workerpool.price,
    trust: seen.trust,
    category: String(seen.category),
    tag: seen.tag,
    requester,
    beneficiary,
    callback,
    params: seen.params,
    startTime: seen.startTime,
    botFirst: seen.botFirst,
    botSize,
    completedTasksCount: 0n,
    claimedTasksCount: 0n,
    workerStake: seen.workerStake,
    schedulerRewardRatio: seen.schedulerRewardRatio,
    sponsor,
    timestamp,
    apporder: appHash,
    datasetorder: hasDataset ? datasetHash : null,
    workerpoolorder: workerpoolHash,
    requestorder: requestHash,
    bulk: !hasDataset && bulkOf(seen.params) !== undefined ? dealid : null,
  });
  await context.db
    .insert(appOrder)
    .values({ id: appHash, app: seen.app.pointer, appprice: seen.app.price })
    .onConflictDoNothing();
  if (hasDataset) {
    await context.db
      .insert(datasetOrder)
      .values({ id: datasetHash, dataset: seen.dataset.pointer, datasetprice: seen.dataset.price })
      .onConflictDoNothing();
  }
  await context.db
    .insert(workerpoolOrder)
    .values({ id: workerpoolHash, workerpool: seen.workerpool.pointer, workerpoolprice: seen.workerpool.price })
    .onConflictDoNothing();
  await context.db.insert(requestOrder).values({ id: requestHash, requester }).onConflictDoNothing();
  await context.db
    .update(app, { id: seen.app.pointer })
    .set((row) => ({ usageCount: row.usageCount + botSize, lastUsageTimestamp: timestamp }));
  await context.db
    .update(workerpool, { id: seen.workerpool.pointer })
    .set((row) => ({ usageCount: row.usageCount + botSize, lastUsageTimestamp: timestamp }));
  await count(context, { dealsCount: 1n, tasksCount: botSize });
  await context.db
    .insert(dealEvent)
    .values({ ...(await remember(context, event)), kind: "OrdersMatched", deal: dealid });
});

ponder.on("Hub:SchedulerNotice", async ({ event, context }) => {
  const { workerpool: pool, dealid } = event.args;
  await context.db
    .insert(workerpoolEvent)
    .values({ ...(await remember(context, event)), kind: "SchedulerNotice", workerpool: pool, deal: dealid });
});
