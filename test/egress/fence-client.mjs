// Tries port 8000 of each address that it is given and, with --undo, to take the fence down. Prints what came of it as JSON.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

const SILENCE_MS = 3_000;

const reach = (address) =>
  new Promise((resolve) => {
    const socket = connect(8000, address);
    const settle = (result) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(SILENCE_MS, () => settle('silence'));
    socket.on('error', (error) => settle(error.code));
    socket.on('data', (data) => settle(String(data)));
  });

const [undo, addresses] = process.argv[2] === '--undo' ? [true, process.argv.slice(3)] : [false, process.argv.slice(2)];
const results = {};
for (const address of addresses) results[address] = await reach(address);
const source = fileURLToPath(new URL('../../packages/dispatcher/src/egress/second-fence.ts', import.meta.url));
const { isSecondFenceActive } = await import(source);
const status = readFileSync('/proc/self/status', 'utf8');
console.log(
  JSON.stringify({
    results,
    active: await isSecondFenceActive(),
    uid: process.getuid(),
    capabilities: /CapBnd:\s+(\w+)/.exec(status)[1],
    undone: (undo ? ['nft flush ruleset', 'ip route del prohibit 169.254.0.0/16'] : []).map(
      (command) => spawnSync('/bin/sh', ['-c', command]).status === 0,
    ),
  }),
);
