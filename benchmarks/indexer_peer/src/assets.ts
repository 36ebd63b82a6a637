import { ponder } from "ponder:registry";
import { app, dataset, ressourceTransferEvent, workerpool, workerpoolEvent } from "ponder:schema";
import { pad, toHex } from "viem";
import { NOBODY, count, meet, remember } from "./store";

const assetOf = (tokenId: bigint) => pad(toHex(tokenId), { size: 20 });

ponder.on("AppRegistry:Transfer", async ({ event, context }) => {
  const { from, to, tokenId } = event.args;
  const id = assetOf(tokenId);
  const { abi, address } = context.contracts.Hub;
  const { owner, name, kind, multiaddr, checksum, mrenclave } = await context.client.readContract({
    abi,
    address,
    functionName: "viewApp",
    args: [id],
  });
  const { timestamp } = event.block;
  const fields = { owner, name, type: kind, multiaddr, checksum, mrenclave, timestamp };
  await meet(context, from, to);
  await context.db
    .insert(app)
    .values({ id, ...fields, usageCount: 0n, lastUsageTimestamp: 0n })
    .onConflictDoUpdate(fields);
  await context.db
    .insert(ressourceTransferEvent)
    .values({ ...(await remember(context, event)), kind: "AppTransfer", from, to, asset: id });
  if (from === NOBODY) await count(context, { appsCount: 1n });
});

ponder.on("DatasetRegistry:Transfer", async ({ event, context }) => {
  const { from, to, tokenId } = event.args;
  const id = assetOf(tokenId);
  const { abi, address } = context.contracts.Hub;
  const fields = await context.client.readContract({ abi, address, functionName: "viewDataset", args: [id] });
  const { timestamp } = event.block;
  await meet(context, from, to);
  await context.db
    .insert(dataset)
    .values({ id, ...fields, timestamp })
    .onConflictDoUpdate({ ...fields, timestamp });
  await context.db
    .insert(ressourceTransferEvent)
    .values({ ...(await remember(context, event)), kind: "DatasetTransfer", from, to, asset: id });
  if (from === NOBODY) await count(context, { datasetsCount: 1n });
});

ponder.on("WorkerpoolRegistry:Transfer", async ({ event, context }) => {
  const { from, to, tokenId } = event.args;
  const id = assetOf(tokenId);
  const { abi, address } = context.contracts.Hub;
  const fields = await context.client.readContract({ abi, address, functionName: "viewWorkerpool", args: [id] });
  const { timestamp } = event.block;
  await meet(context, from, to);
  await context.db
    .insert(workerpool)
    .values({ id, ...fields, timestamp, usageCount: 0n, lastUsageTimestamp: 0n })
    .onConflictDoUpdate({ ...fields, timestamp });
  await context.db
    .insert(ressourceTransferEvent)
    .values({ ...(await remember(context, event)), kind: "WorkerpoolTransfer", from, to, asset: id });
  if (from === NOBODY) await count(context, { workerpoolsCount: 1n });
});

ponder.on("Workerpool:PolicyUpdate", async ({ event, context }) => {
  const id = event.log.address;
  const known = await context.db.find(workerpool, { id });
  if (known === null) return;
  const ratios = {
    oldWorkerStakeRatio: event.args.oldWorkerStakeRatioPolicy,
    newWorkerStakeRatio: event.args.newWorkerStakeRatioPolicy,
    oldSchedulerRewardRatio: event.args.oldSchedulerRewardRatioPolicy,
    newSchedulerRewardRatio: event.args.newSchedulerRewardRatioPolicy,
  };
  await context.db
    .update(workerpool, { id })
    .set({ workerStakeRatio: ratios.newWorkerStakeRatio, schedulerRewardRatio: ratios.newSchedulerRewardRatio });
  await context.db
    .insert(workerpoolEvent)
    .values({ ...(await remember(context, event)), kind: "PolicyUpdate", workerpool: id, ...ratios });
});
