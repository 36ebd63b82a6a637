// Answers every request with the next of a fixed list of bodies, which it holds in memory.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const bodies = JSON.parse(readFileSync(process.argv[2], 'utf8')).map((text) => Buffer.from(text));
let next = 0;

const server = createServer((request, response) => {
  const body = bodies[next];
  next = (next + 1) % bodies.length;
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
