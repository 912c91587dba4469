import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Servers of a test's own on loopback. */
export type LocalServers = {
  /** Lets a server listen on a port that is free; resolves with the port. */
  listen: (server: Server, host?: string) => Promise<number>;
  /** The same for one that does this with each connection, whose errors are passed over. */
  onConnection: (serve: (socket: Socket) => void, host?: string) => Promise<number>;
  /** Takes no further connections; those that are open are the test's to end. */
  close: () => void;
};

/** None yet. */
export function createLocalServers(): LocalServers {
  const servers: Server[] = [];
  const listen = async (server: Server, host = '127.0.0.1'): Promise<number> => {
    servers.push(server);
    server.listen(0, host);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  return {
    listen,
    onConnection: (serve, host) => {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        serve(socket);
      });
      return listen(server, host);
    },
    close: () => {
      for (const server of servers) server.close();
    },
  };
}
