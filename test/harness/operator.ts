import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { send, type Answer } from './http-client.ts';
import type { TestServer } from './test-server.ts';

/** Who may ask a server's listener for operators. */
export type Operator = {
  url: string;
  token: string;
  /** Asks for a path, by default with the right token. */
  get: (path: string, authorization?: string) => Promise<Answer>;
  /** Posts JSON with the right token. */
  post: (path: string, body: string) => Promise<Answer>;
};

/** The operator of a server that was started with `'admin-listen': '127.0.0.1:0'`; `tokenFile` where its state folder is not seen from here. */
export async function openOperator(
  server: TestServer,
  tokenFile = join(server.stateFolder, 'admin-token'),
): Promise<Operator> {
  const line = await server.log.waitFor('the listener for operators', ({ msg }) => msg === 'listening for operators');
  const url = `http://127.0.0.1:${String(line['port'])}`;
  const token = readFileSync(tokenFile, 'utf8').trim();
  const own = `Bearer ${token}`;
  return {
    url,
    token,
    get: (path, authorization = own) => send(`${url}${path}`, { headers: { authorization } }),
    post: (path, body) =>
      send(`${url}${path}`, { headers: { authorization: own, 'content-type': 'application/json' }, body }),
  };
}
