// What is read of the contracts: the events that are indexed, and the views that tell what events do not.
import { parseAbi } from "viem";

export const hubAbi = parseAbi([
  "event CreateCategory(uint256 catid, string name, string description, uint256 workClockTimeRef)",
  "event OrdersMatched(bytes32 dealid, bytes32 appHash, bytes32 datasetHash, bytes32 workerpoolHash, bytes32 requestHash, uint256 volume)",
  "event SchedulerNotice(address indexed workerpool, bytes32 dealid)",
  "event TaskInitialize(bytes32 indexed taskid, address indexed workerpool)",
  "event TaskContribute(bytes32 indexed taskid, address indexed worker, bytes32 hash)",
  "event TaskConsensus(bytes32 indexed taskid, bytes32 consensus)",
  "event TaskReveal(bytes32 indexed taskid, address indexed worker, bytes32 digest)",
  "event TaskReopen(bytes32 indexed taskid)",
  "event TaskFinalize(bytes32 indexed taskid, bytes results)",
  "event TaskClaimed(bytes32 indexed taskid)",
  "event AccurateContribution(address indexed worker, bytes32 indexed taskid)",
  "event FaultyContribution(address indexed worker, bytes32 indexed taskid)",
  "event Transfer(address indexed from, address indexed to, uint256 value)",
  "event Lock(address owner, uint256 amount)",
  "event Unlock(address owner, uint256 amount)",
  "event Reward(address owner, uint256 amount, bytes32 ref)",
  "event Seize(address owner, uint256 amount, bytes32 ref)",
  "struct Resource { address pointer; address owner; uint256 price; }",
  "struct Deal { Resource app; Resource dataset; Resource workerpool; uint256 trust; uint256 category; bytes32 tag; address requester; address beneficiary; address callback; string params; uint256 startTime; uint256 botFirst; uint256 botSize; uint256 workerStake; uint256 schedulerRewardRatio; address sponsor; }",
  "function viewDeal(bytes32 id) view returns (Deal)",
  "struct Task { uint8 status; bytes32 dealid; uint256 idx; uint256 timeref; uint256 contributionDeadline; uint256 revealDeadline; uint256 finalDeadline; bytes32 consensusValue; uint256 revealCounter; uint256 winnerCounter; address[] contributors; bytes32 resultDigest; bytes results; uint256 resultsTimestamp; bytes resultsCallback; }",
  "function viewTask(bytes32 taskid) view returns (Task)",
  "struct Contribution { uint8 status; bytes32 resultHash; bytes32 resultSeal; address enclaveChallenge; uint256 weight; }",
  "function viewContribution(bytes32 taskid, address worker) view returns (Contribution)",
  "function viewScore(address worker) view returns (uint256)",
  "struct App { address owner; string name; string kind; bytes multiaddr; bytes32 checksum; bytes mrenclave; }",
  "function viewApp(address app) view returns (App)",
  "struct Dataset { address owner; string name; bytes multiaddr; bytes32 checksum; }",
  "function viewDataset(address dataset) view returns (Dataset)",
  "struct Workerpool { address owner; string description; uint256 workerStakeRatio; uint256 schedulerRewardRatio; }",
  "function viewWorkerpool(address workerpool) view returns (Workerpool)",
]);

export const registryAbi = parseAbi([
  "event Transfer(address indexed from, address indexed to, uint256 indexed tokenId)",
]);

export const workerpoolAbi = parseAbi([
  "event PolicyUpdate(uint256 oldWorkerStakeRatioPolicy, uint256 newWorkerStakeRatioPolicy, uint256 oldSchedulerRewardRatioPolicy, uint256 newSchedulerRewardRatioPolicy)",
]);
