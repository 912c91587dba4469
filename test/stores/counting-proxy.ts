import { createServer, request as startRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the proxy does with the body of an answer. */
export type BodyFault = 'none' | 'cut' | 'stop';

/** A proxy before an S3 server: passes everything on as it is, signatures included, counts, and can spoil bodies. */
export type CountingProxy = {
  url: string;
  /** `GET /bucket/key` of all requests since the last call that are for a whole object; with a range or without content they are left out. */
  takeReads: () => string[];
  /** `METHOD /bucket/key` of all requests since the last call, whatever was answered. */
  takeRequests: () => string[];
  /** What happens to the bodies of objects from now on. */
  spoil: (fault: BodyFault) => void;
  close: () => Promise<void>;
};

/** Starts a proxy before `target`, a URL without a path. */
export async function startCountingProxy(target: string): Promise<CountingProxy> {
  let reads: string[] = [];
  let requests: string[] = [];
  let fault: BodyFault = 'none';
  const server = createServer((request, response) => {
    const path = request.url!.split('?')[0]!;
    const { method, headers } = request;
    requests.push(`${method} ${path}`);
    const onward = startRequest(`${target}${request.url}`, { method: method!, headers }, (answer) => {
      const isObject = method === 'GET' && answer.statusCode === 200;
      if (isObject && headers.range === undefined) reads.push(path);
      response.writeHead(answer.statusCode!, answer.rawHeaders);
      if (isObject && fault !== 'none') void spoil(answer, response, fault);
      else answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    takeReads: () => {
      const taken = reads;
      reads = [];
      return taken;
    },
    takeRequests: () => {
      const taken = requests;
      requests = [];
      return taken;
    },
    spoil: (next) => {
      fault = next;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Half of the body; then the connection ends, or nothing more comes. */
async function spoil(answer: AsyncIterable<Buffer>, response: ServerResponse, fault: 'cut' | 'stop'): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  response.write(body.subarray(0, body.length >> 1), () => {
    if (fault === 'cut') response.destroy();
  });
}
