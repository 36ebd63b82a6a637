import { type Context, ponder } from "ponder:registry";
import { account, accountEvent, contribution, deal, task, taskEvent } from "ponder:schema";
import { type Hex, count, meet, remember } from "./store";

const viewTask = (context: Context, taskid: Hex) =>
  context.client.readContract({
    abi: context.contracts.Hub.abi,
    address: context.contracts.Hub.address,
    functionName: "viewTask",
    args: [taskid],
  });

ponder.on("Hub:TaskInitialize", async ({ event, context }) => {
  const { taskid, workerpool } = event.args;
  const { dealid, idx, contributionDeadline, finalDeadline } = await viewTask(context, taskid);
  const bought = await context.db.find(deal, { id: dealid });
  await context.db.insert(task).values({
    id: taskid,
    status: "ACTIVE",
    deal: dealid,
    index: idx,
    requester: bought!.requester,
    contributionDeadline,
    finalDeadline,
    timestamp: event.block.timestamp,
  });
  await context.db
    .insert(taskEvent)
    .values({ ...(await remember(context, event)), kind: "TaskInitialize", task: taskid, workerpool });
});

ponder.on("Hub:TaskContribute", async ({ event, context }) => {
  const { taskid, worker, hash } = event.args;
  const { abi, address } = context.contracts.Hub;
  const seen = await context.client.readContract({
    abi,
    address,
    functionName: "viewContribution",
    args: [taskid, worker],
  });
  const { timestamp } = event.block;
  await meet(context, worker);
  const fields = {
    status: "CONTRIBUTED" as const,
    timestamp: Number(timestamp),
    hash: seen.resultHash,
    seal: seen.resultSeal,
    challenge: seen.enclaveChallenge,
  };
  await context.db
    .insert(contribution)
    .values({ id: `${taskid}-${worker}`, task: taskid, worker, ...fields })
    .onConflictDoUpdate(fields);
  await context.db.update(task, { id: taskid }).set({ timestamp });
  await context.db
    .insert(taskEvent)
    .values({ ...(await remember(context, event)), kind: "TaskContribute", task: taskid, worker, hash });
});

ponder.on("Hub:TaskConsensus", async ({ event, context }) => {
  const { taskid, consensus } = event.args;
  const { revealDeadline } = await viewTask(context, taskid);
  const { timestamp } = event.block;
  await context.db.update(task, { id: taskid }).set({ status: "REVEALING", consensus, revealDeadline, timestamp });
  await context.db
    .insert(taskEvent)
    .values({ ...(await remember(context, event)), kind: "TaskConsensus", task: taskid, consensus });
});

ponder.on("Hub:TaskReveal", async ({ event, context }) => {
  const { taskid, worker, digest } = event.args;
  const { timestamp } = event.block;
  await context.db.update(contribution, { id: `${taskid}-${worker}` }).set({ status: "PROVED" });
  await context.db.update(task, { id: taskid }).set({ status: "REVEALING", resultDigest: digest, timestamp });
  await context.db
    .insert(taskEvent)
    .values({ ...(await remember(context, event)), kind: "TaskReveal", task: taskid, worker, digest });
});

ponder.on("Hub:TaskReopen", async ({ event, context }) => {
  const { taskid } = event.args;
  const before = await context.db.find(task, { id: taskid });
  const { contributors } = await viewTask(context, taskid);
  for (const worker of contributors) {
    const id = `${taskid}-${worker.toLowerCase()}`;
    const made = await context.db.find(contribution, { id });
    if (made?.hash === before!.consensus) {
      await context.db.update(contribution, { id }).set({ status: "REJECTED" });
    }
  }
  const { timestamp } = event.block;
  await context.db
    .update(task, { id: taskid })
    .set({ status: "ACTIVE", consensus: null, revealDeadline: null, timestamp });
  await context.db
    .insert(taskEvent)
    .values({ ...(await remember(context, event)), kind: "TaskReopen", task: taskid });
});

ponder.on("Hub:TaskFinalize", async ({ event, context }) => {
  const { taskid, results } = event.args;
  const { resultsCallback } = await viewTask(context, taskid);
  const { timestamp } = event.block;
  const done = await context.db
    .update(task, { id: taskid })
    .set({ status: "COMPLETED", results, resultsCallback, timestamp });
  await context.db
    .update(deal, { id: done.deal })
    .set((row) => ({ completedTasksCount: row.completedTasksCount + 1n }));
  await count(context, { completedTasksCount: 1n });
  await context.db
    .insert(taskEvent)
    .values({ ...(await remember(context, event)), kind: "TaskFinalize", task: taskid, results });
});

ponder.on("Hub:TaskClaimed", async ({ event, context }) => {
  const { taskid } = event.args;
  const { timestamp } = event.block;
  const failed = await context.db.update(task, { id: taskid }).set({ status: "FAILLED", timestamp });
  await context.db
    .update(deal, { id: failed.deal })
    .set((row) => ({ claimedTasksCount: row.claimedTasksCount + 1n }));
  await count(context, { claimedTasksCount: 1n });
  await context.db
    .insert(taskEvent)
    .values({ ...(await remember(context, event)), kind: "TaskClaimed", task: taskid });
});

for (const kind of ["AccurateContribution", "FaultyContribution"] as const) {
  ponder.on(`Hub:${kind}`, async ({ event, context }) => {
    const { worker, taskid } = event.args;
    const { abi, address } = context.contracts.Hub;
    const score = await context.client.readContract({ abi, address, functionName: "viewScore", args: [worker] });
    await meet(context, worker);
    await context.db.update(account, { id: worker }).set({ score });
    await context.db.insert(accountEvent).values({
      ...(await remember(context, event)),
      kind,
      account: worker,
      contribution: `${taskid}-${worker}`,
      score,
    });
  });
}
