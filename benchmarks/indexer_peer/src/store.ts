// What several handlers have in common.
import type { Context } from "ponder:registry";
import { account, protocol, transaction } from "ponder:schema";

export type Hex = `0x${string}`;
type Happened = {
  block: { number: bigint; timestamp: bigint };
  log: { logIndex: number };
  transaction: { hash: Hex; from: Hex; to: Hex | null; value: bigint; gas: bigint; gasPrice?: bigint };
};
type Counter = Exclude<keyof typeof protocol.$inferSelect, "id">;

export const NOBODY: Hex = "0x0000000000000000000000000000000000000000";

/** The columns that all events have; notes their transaction. */
export async function remember({ db }: Context, { block, log, transaction: sent }: Happened) {
  await db
    .insert(transaction)
    .values({
      id: sent.hash,
      from: sent.from,
      to: sent.to,
      value: sent.value,
      gasLimit: sent.gas,
      gasUsed: sent.gas,
      gasPrice: sent.gasPrice ?? 0n,
      timestamp: block.timestamp,
      blockNumber: block.number,
    })
    .onConflictDoNothing();
  return { id: `${block.number}-${log.logIndex}`, transaction: sent.hash, timestamp: block.timestamp };
}

/** Accounts that are there from now on. */
export async function meet({ db }: Context, ...ids: Hex[]) {
  for (const id of ids) {
    await db.insert(account).values({ id, balance: 0n, frozen: 0n, score: 0n }).onConflictDoNothing();
  }
}

/** Change what an account has. */
export async function book({ db }: Context, id: Hex, change: { balance?: bigint; frozen?: bigint }) {
  const { balance = 0n, frozen = 0n } = change;
  await db
    .insert(account)
    .values({ id, balance, frozen, score: 0n })
    .onConflictDoUpdate((row) => ({ balance: row.balance + balance, frozen: row.frozen + frozen }));
}

/** Add to the totals. */
export async function count({ db }: Context, change: Partial<Record<Counter, bigint>>) {
  const zero = {
    categoriesCount: 0n,
    appsCount: 0n,
    datasetsCount: 0n,
    workerpoolsCount: 0n,
    dealsCount: 0n,
    tasksCount: 0n,
    completedTasksCount: 0n,
    claimedTasksCount: 0n,
    tvl: 0n,
  };
  await db
    .insert(protocol)
    .values({ id: "iExec", ...zero, ...change })
    .onConflictDoUpdate((row) =>
      Object.fromEntries(Object.entries(change).map(([name, more]) => [name, row[name as Counter] + more])),
    );
}
