import { connect, type Socket } from 'node:net';

/**
 * Measures single requests, one after another on one connection, each only when `ready` has resolved: how long an answer takes
 * where nothing has to be waited for.
 * @param url answered with a `content-length` by a server that keeps the connection open
 * @returns milliseconds for each request, from its first byte sent to the last received
 */
export async function measurePaced(url: string, count: number, ready: () => Promise<void>): Promise<number[]> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const request = `GET ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`;
  const samples: number[] = [];
  try {
    for (let index = 0; index < count; index++) {
      await ready();
      const startedMs = performance.now();
      const answered = readAnswer(socket);
      socket.write(request);
      await answered;
      samples.push(performance.now() - startedMs);
    }
  } finally {
    socket.destroy();
  }
  return samples;
}

/** Reads one answer to its end. Rejects for another status than 200 and when the connection ends. */
function readAnswer(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = '';
    const leave = (settle: () => void): void => {
      socket.off('data', onData).off('close', onClose);
      settle();
    };
    const onClose = (): void => leave(() => reject(new Error(`the connection ended after: ${received.slice(0, 200)}`)));
    const onData = (chunk: Buffer): void => {
      received += chunk.toString('latin1');
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /^content-length: (\d+)\r$/im.exec(received.slice(0, end + 2))?.[1];
      if (!received.startsWith('HTTP/1.1 200 ') || length === undefined) {
        return leave(() => reject(new Error(`not an answer with 200 and a length: ${received.slice(0, 500)}`)));
      }
      if (received.length >= end + 4 + Number(length)) leave(resolve);
    };
    socket.on('data', onData).on('close', onClose);
  });
}
