// Joins a room with the published client, prints what it is told, leaves, and shows that nothing more comes.
import { createRequire } from 'node:module';

const [, , folder, url, chainId, transport] = process.argv;
const { io } = createRequire(`${folder}/package.json`)('socket.io-client');
const options = transport === 'default' ? {} : { transports: [transport] };
const socket = io(url, { path: '/ws', reconnection: false, ...options });
const print = (...what) => console.log(JSON.stringify(what));
const room = { chainId, topic: 'orders' };

socket.onAny((event, payload) => print('told', event, payload));
socket.on('connect_error', (error) => print('error', error.message));
socket.on('connect', async () => {
  print('refused', ...(await new Promise((done) => socket.emit('join', { chainId }, (...ack) => done(ack)))));
  print('joined', await socket.emitWithAck('join', room));
});
process.stdin.on('data', async (line) => {
  const command = line.toString().trim();
  if (command === 'leave') print('left', await socket.emitWithAck('leave', room));
  if (command === 'leaveAll') print('left all', await socket.emitWithAck('leaveAll'));
  if (command === 'transport') print('transport', socket.io.engine.transport.name);
  if (command === 'end') {
    socket.close();
    process.exit(0);
  }
});
