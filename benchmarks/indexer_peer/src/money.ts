import { ponder } from "ponder:registry";
import { accountEvent, transfer } from "ponder:schema";
import { NOBODY, book, count, meet, remember } from "./store";

ponder.on("Hub:Transfer", async ({ event, context }) => {
  const { from, to, value } = event.args;
  await book(context, from, { balance: from === NOBODY ? 0n : -value });
  await book(context, to, { balance: to === NOBODY ? 0n : value });
  if (from === NOBODY) await count(context, { tvl: value });
  if (to === NOBODY) await count(context, { tvl: -value });
  await context.db.insert(transfer).values({ ...(await remember(context, event)), from, to, value });
});

ponder.on("Hub:Lock", async ({ event, context }) => {
  const { owner, amount } = event.args;
  await book(context, owner, { frozen: amount });
  await context.db
    .insert(accountEvent)
    .values({ ...(await remember(context, event)), kind: "Lock", account: owner, value: amount });
});

ponder.on("Hub:Unlock", async ({ event, context }) => {
  const { owner, amount } = event.args;
  await book(context, owner, { frozen: -amount });
  await context.db
    .insert(accountEvent)
    .values({ ...(await remember(context, event)), kind: "Unlock", account: owner, value: amount });
});

ponder.on("Hub:Seize", async ({ event, context }) => {
  const { owner, amount, ref } = event.args;
  await book(context, owner, { frozen: -amount });
  await context.db
    .insert(accountEvent)
    .values({ ...(await remember(context, event)), kind: "Seize", account: owner, value: amount, task: ref });
});

ponder.on("Hub:Reward", async ({ event, context }) => {
  const { owner, amount, ref } = event.args;
  await meet(context, owner);
  await context.db
    .insert(accountEvent)
    .values({ ...(await remember(context, event)), kind: "Reward", account: owner, value: amount, task: ref });
});
