import { randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';

/** Two connected Unix sockets. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const address = `\0playa-test-${randomBytes(16).toString('hex')}`;
  const server = createServer();
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(address, resolve));
  const client = connect({ path: address });
  const other = await accepted;
  server.close();
  return [client, other];
}
