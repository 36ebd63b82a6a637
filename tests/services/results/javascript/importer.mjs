// The names that the reference importer gives to generated files and to folders of them.
//
// Standard input: a JSON array of requests {parts: [{path, length}], cidVersion, rawLeaves, chunkBytes}.
// Standard output: a JSON array of answers [[path, cid, bytes of all blocks], ...].

import { BlackHoleBlockstore } from 'blockstore-core'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'

const PERIOD = 251
const PIECE = Buffer.alloc(PERIOD * 4096, Buffer.from([...Array(PERIOD).keys()]))

function * pattern (length) {
  for (let left = length; left > 0; left -= PIECE.length) {
    yield left < PIECE.length ? PIECE.subarray(0, left) : PIECE
  }
}

let input = ''
for await (const piece of process.stdin) input += piece

const answers = []
for (const { parts, cidVersion, rawLeaves, chunkBytes } of JSON.parse(input)) {
  const candidates = parts.map(({ path, length }) => length === null ? { path } : { path, content: pattern(length) })
  const options = {
    cidVersion,
    rawLeaves,
    leafType: 'file',
    reduceSingleLeafToSelf: true,
    chunker: fixedSize({ chunkSize: chunkBytes }),
    layout: balanced({ maxChildrenPerNode: 174 }),
    wrapWithDirectory: false
  }
  const answer = []
  for await (const { path, cid, size } of importer(candidates, new BlackHoleBlockstore(), options)) {
    answer.push([path, cid.toString(), Number(size)])
  }
  answers.push(answer)
}
console.log(JSON.stringify(answers))
