import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as a service that gives credentials sees it. */
export type Asked = { method: string; url: string; headers: IncomingMessage['headers']; body: string };

/** A service that gives credentials, on this machine. */
export type MetadataServer = { url: string; host: string; asked: Asked[]; close: () => Promise<void> };

/** Starts one; `answer` decides on each request. Undefined never answers. */
export async function startMetadataServer(
  answer: (asked: Asked) => { status?: number; headers?: Record<string, string>; body: string } | undefined,
): Promise<MetadataServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const entry = { method: request.method!, url: request.url!, headers: request.headers, body };
      asked.push(entry);
      const reply = answer(entry);
      if (reply === undefined) return;
      response.writeHead(reply.status ?? 200, reply.headers);
      response.end(reply.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
