// Runs in a network namespace of its own: raises the fence there, and tries from behind it what a server that was taken over would try.
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

const fence = process.argv[2];
const run = (command) => execFileSync('/bin/sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit'] });

// Stand-ins: a public server, a cloud's metadata, a private neighbour, a name server that is allowed.
const addresses = ['9.9.9.9', '169.254.169.254', '10.99.0.1', '10.98.0.53'];
run('ip link set lo up');
for (const address of addresses) run(`ip address add ${address}/32 dev lo`);
const servers = [];
for (const address of addresses) {
  const server = createServer((socket) => socket.end('reached')).listen(8000, address);
  await once(server, 'listening');
  servers.push(server);
}
const before = spawnSync(fence, ['check', 'pf'], { encoding: 'utf8' }).status;
execFileSync(fence, ['up', 'pf'], { env: { ...process.env, FENCE_ALLOW: '10.98.0.53' } });
const after = spawnSync(fence, ['check', 'pf'], { encoding: 'utf8' }).status;
// The stand-ins are addresses of this very namespace, which the fence's own rule for the host keeps out: it is not what is tried here.
run('nft flush chain ip playa_fence_pf input');
const client = `
  const { connect } = require('node:net');
  const socket = connect(8000, process.argv[1]);
  socket.setTimeout(3000, () => { console.log('silence'); process.exit(); });
  socket.on('error', (error) => { console.log(error.code); process.exit(); });
  socket.on('data', (data) => { console.log(String(data)); process.exit(); });
`;
const { spawn } = await import('node:child_process');
const fenceSource = new URL('../../packages/dispatcher/src/egress/second-fence.ts', import.meta.url);
const look = `import(${JSON.stringify(fenceSource.href)}).then(async (module) => console.log(await module.isSecondFenceActive()))`;
const seen = [[], ['ip', 'netns', 'exec', 'pf']].map((prefix) => {
  const [command, ...args] = [...prefix, process.execPath, '-e', look];
  return execFileSync(command, args, { encoding: 'utf8' }).trim();
});
const results = {};
for (const address of [...addresses, '::ffff:169.254.169.254', '10.213.77.1']) {
  const child = spawn('ip', ['netns', 'exec', 'pf', process.execPath, '-e', client, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  await once(child, 'close');
  results[address] = text.trim();
}
execFileSync(fence, ['down', 'pf']);
for (const server of servers) server.close();
console.log(JSON.stringify({ before, after, seen, results }));
