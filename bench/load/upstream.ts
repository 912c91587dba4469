/**
 * A server that functions reach: `/` is hello, `/large` has as many bytes as its argument says. A process of its own, as one that sends without end has
 * no time to measure. Prints its port; ends with its standard input.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const CHUNK = Buffer.alloc(256 * 1024, 1);
const largeBytes = Number(process.argv[2]);

const server = createServer((request, response) => {
  if (request.url !== '/large') return void response.end('hello');
  let left = largeBytes;
  response.setHeader('content-length', left);
  const write = (): void => {
    while (left > 0) {
      const part = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      left -= part.length;
      if (!response.write(part)) return;
    }
    response.end();
  };
  response.on('drain', write);
  write();
}).listen(0, '127.0.0.1');
await once(server, 'listening');
process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
process.stdin.resume().on('end', () => process.exit(0));
