// Runs in a network namespace of its own, which stands for a host; another one stands for the world. Raises the fence there, and tries from
// behind it what a server that was taken over would try.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const [fence, worldName, ...addresses] = process.argv.slice(2);
const run = (command) => execFileSync('/bin/sh', ['-ec', command], { stdio: ['ignore', 'ignore', 'inherit'] });

run(`
  ip link set lo up
  ip netns add ${worldName}
  ip link add out type veth peer name in netns ${worldName}
  ip address add 10.77.0.1/24 dev out
  ip link set out up
  ip -n ${worldName} link set lo up
  ip -n ${worldName} address add 10.77.0.2/24 dev in
  ip -n ${worldName} link set in up
  ip route add default via 10.77.0.2
`);
for (const address of addresses) run(`ip -n ${worldName} address add ${address}/32 dev lo`);
const serve = `
  require('node:net').createServer((socket) => socket.end('reached')).listen(8000, () => console.log('listening'));
`;
const world = spawn('ip', ['netns', 'exec', worldName, process.execPath, '-e', serve], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await once(world.stdout, 'data');
// The host itself has a service, too.
const host = spawn(process.execPath, ['-e', serve], { stdio: ['ignore', 'pipe', 'inherit'] });
await once(host.stdout, 'data');
// As Docker does on its hosts.
run('iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -I FORWARD -j DOCKER-USER');

const client = fileURLToPath(new URL('fence-client.mjs', import.meta.url));
const tried = [...addresses, '::ffff:169.254.169.254', '10.213.77.1', '10.77.0.1'];
const look = (prefix, ...flags) => {
  const [command, ...args] = [...prefix, process.execPath, client, ...flags, ...tried];
  return JSON.parse(execFileSync(command, args, { encoding: 'utf8' }));
};
const check = () => spawnSync(fence, ['check', 'pf'], { encoding: 'utf8' }).status;
const env = { ...process.env, FENCE_ALLOW: '10.98.0.53' };

const seen = { before: check(), outside: look([]) };
execFileSync(fence, ['up', 'pf'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
seen.after = check();
seen.again = spawnSync(fence, ['up', 'pf'], { env, encoding: 'utf8' }).stderr;
seen.stillAfter = check();
seen.inside = look(['ip', 'netns', 'exec', 'pf', 'setpriv', '--reuid', '65534', '--bounding-set', '-all'], '--undo');
// Each of its two layers alone.
run('ip netns exec pf nft flush ruleset');
seen.withoutFilter = check();
execFileSync(fence, ['down', 'pf']);
seen.down = check();
seen.left = execFileSync('/bin/sh', ['-c', 'nft list tables ip; iptables -S DOCKER-USER; ip -o link; true'], {
  encoding: 'utf8',
});
execFileSync(fence, ['up', 'pf'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
seen.second = check();
execFileSync(fence, ['down', 'pf']);
for (const child of [world, host]) {
  child.kill();
  await once(child, 'close');
}
run(`ip netns delete ${worldName}`);
console.log(JSON.stringify(seen));
