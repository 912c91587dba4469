/** Runs in a network namespace of its own, which is linked to another one that stands for the world: asks for public addresses through a function. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buildGuest } from '../harness/artifacts.ts';
import { startDnsServer } from '../harness/dns-server.ts';
import { makeBucket } from '../harness/test-bucket.ts';
import { startServer } from '../harness/test-server.ts';

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
const inWorld = (...args: string[]): void => ip('-n', 'world', ...args);

ip('link', 'set', 'lo', 'up');
ip('netns', 'add', 'world');
ip('link', 'add', 'out', 'type', 'veth', 'peer', 'name', 'in', 'netns', 'world');
ip('address', 'add', '10.77.0.1/24', 'dev', 'out');
ip('-6', 'address', 'add', 'fd77::1/64', 'dev', 'out', 'nodad');
ip('link', 'set', 'out', 'up');
inWorld('link', 'set', 'lo', 'up');
inWorld('address', 'add', '10.77.0.2/24', 'dev', 'in');
inWorld('-6', 'address', 'add', 'fd77::2/64', 'dev', 'in', 'nodad');
inWorld('link', 'set', 'in', 'up');
for (const address of ['9.9.9.9/32', '169.254.169.254/32', '10.1.2.3/32'])
  inWorld('address', 'add', address, 'dev', 'lo');
inWorld('-6', 'address', 'add', '2606:4700::9/128', 'dev', 'lo');
ip('route', 'add', 'default', 'via', '10.77.0.2');
ip('-6', 'route', 'add', 'default', 'via', 'fd77::2');

const source = `
  require('node:http').createServer((request, response) => response.end('from ' + request.socket.localAddress))
    .listen(80, '::', () => console.log('listening'));
`;
const world = spawn('ip', ['netns', 'exec', 'world', process.execPath, '-e', source], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await once(world.stdout, 'data');

const dns = await startDnsServer((name) => {
  if (name === 'both.test') return { addresses: ['9.9.9.9', '2606:4700::9'] };
  if (name === 'mixed.test') return { addresses: ['10.1.2.3', '169.254.169.254', '9.9.9.9'] };
  // An address of the first kind that leads nowhere: the second one answers.
  if (name === 'half.test') return { addresses: ['2606:4700::dead', '9.9.9.9'] };
  return 'nxdomain';
});
const bucket = makeBucket({ egress: await buildGuest('egress') });
const server = await startServer(bucket.path, { 'egress-resolver': dns.address });
const results: Record<string, string> = {};
for (const host of process.argv.slice(2)) {
  results[host] = (await server.invoke(`egress/fetch?url=${encodeURIComponent(`http://${host}/`)}`)).text;
}
await server.stop();
dns.close();
bucket.remove();
world.kill();
await once(world, 'close');
ip('netns', 'delete', 'world');
console.log(JSON.stringify(results));
