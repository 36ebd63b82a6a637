// Calls npm `iexec` for another program: one JSON question a line, one JSON answer a line.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { IExec, utils, errors } = await import(pathToFileURL(process.argv[2]));
let iexec;

// The client keeps what it read of the chain, nonces too, for 250 ms, and nothing tells when it forgets.
const CACHE_MS = 300;
let answeredAt = 0;

const methodsOf = (module) =>
  Object.keys(module).filter((name) => /^[a-z]/.test(name) && typeof module[name] === 'function');

const unpack = (value) => {
  if (Array.isArray(value)) return value.map(unpack);
  if (value === null || typeof value !== 'object') return value;
  if ('$bytes' in value) return Buffer.from(value.$bytes, 'base64');
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unpack(inner)]));
};

const pack = (value) => {
  if (typeof value === 'bigint' || utils.BN.isBN(value)) return value.toString();
  if (value instanceof Uint8Array || value instanceof ArrayBuffer)
    return { $bytes: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(pack);
  if (typeof value === 'function') return true;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, pack(inner)]));
};

const collect = (observable) =>
  new Promise((resolve, reject) => {
    const told = [];
    observable.subscribe({
      next: (message) => told.push(message),
      error: reject,
      complete: () => resolve(told),
    });
  });

const answer = async (question) => {
  if ('host' in question) {
    const { host, key, options } = question;
    iexec = new IExec({ ethProvider: key ? utils.getSignerFromPrivateKey(host, key) : host }, options);
    return true;
  }
  if (question.inventory) {
    const modules = Object.entries(iexec).filter(([, module]) => module && typeof module === 'object');
    const names = modules.flatMap(([name, module]) => methodsOf(module).map((method) => `${name}.${method}`));
    return [...names, ...methodsOf(utils).map((method) => `utils.${method}`)];
  }
  if ('constant' in question) return pack(utils[question.constant]);
  const module = question.module === 'utils' ? utils : iexec[question.module];
  const result = await module[question.method](...question.arguments.map(unpack));
  if (result instanceof Response) return pack(await result.arrayBuffer());
  if (result && typeof result.subscribe === 'function') return pack(await collect(result));
  // Clients of contracts are not for printing; that there is one is the answer.
  if (/^resolve.*ContractsClient$/.test(question.method)) return true;
  return pack(result);
};

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  const rest = CACHE_MS - (Date.now() - answeredAt);
  if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
  try {
    said = { value: await answer(JSON.parse(line)) };
  } catch (error) {
    const cause = error.originalError ?? error.cause;
    const message = cause && !error.message.includes(cause.message) ? `${error.message} (${cause.message})` : error.message;
    said = { error: { name: error.constructor.name, message, known: Object.values(errors).some((kind) => error instanceof kind) } };
  }
  answeredAt = Date.now();
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
