// What the client library of kubo sees of a node: the last argument is the node's URL.

import { create } from 'kubo-rpc-client'

const node = create({ url: process.argv.at(-1) })
const bytes = (length) => Uint8Array.from({ length }, (_, index) => index % 251)

async function all (things) {
  const found = []
  for await (const thing of things) found.push(thing)
  return found
}

async function joined (pieces) {
  return Buffer.concat(await all(pieces))
}

async function refusal (promise) {
  try {
    await promise
    return null
  } catch (error) {
    return error.message
  }
}

const told = ({ path, cid, size }) => [path, cid.toString(), size]
const answer = {}

answer.file = told(await node.add(bytes(300000)))
answer.modern = told(await node.add(bytes(300000), { cidVersion: 1 }))
answer.small = told(await node.add('hello world\n', { cidVersion: 1, rawLeaves: true }))
answer.onlyHash = told(await node.add('never stored', { onlyHash: true }))
const progress = []
await node.add({ path: 'counted', content: bytes(300000) }, { progress: (count, name) => progress.push([name, count]) })
answer.progress = progress

const tree = [
  { path: 'site/index.html', content: '<h1>hello</h1>' },
  { path: 'site/data/é & <b>.txt', content: 'x' },
  { path: 'site/empty' },
  { path: 'readme.txt', content: 'hello world\n' }
]
answer.folders = (await all(node.addAll(tree))).map(told)
answer.wrapped = (await all(node.addAll(tree, { wrapWithDirectory: true }))).map(told)

const root = answer.wrapped.at(-1)[1]
answer.catRange = (await joined(node.cat(answer.file[1], { offset: 262140, length: 10 }))).toString('hex')
answer.catPath = (await joined(node.cat(`/ipfs/${root}/site/data/é & <b>.txt`))).toString()
answer.list = (await all(node.ls(`/ipfs/${root}`))).map(({ name, type, cid, size }) => [name, type, cid.toString(), size])
const stat = await node.files.stat(`/ipfs/${answer.file[1]}`)
answer.stat = [stat.cid.toString(), stat.size, stat.cumulativeSize, stat.type]
answer.pinned = (await node.pin.add(answer.file[1])).toString()
answer.pins = (await all(node.pin.ls({ paths: answer.file[1] }))).map(({ cid, type }) => [cid.toString(), type])
answer.version = (await node.version()).version

answer.refusals = {
  absent: await refusal(joined(node.cat(answer.onlyHash[1]))),
  folder: await refusal(joined(node.cat(root))),
  mode: await refusal(node.add({ path: 'a', content: 'x', mode: 0o600 })),
  inline: await refusal(node.add('x', { hashAlg: 'blake3' })),
  unpin: await refusal(node.pin.rm(answer.file[1]))
}
console.log(JSON.stringify(answer))
