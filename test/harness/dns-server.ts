import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** What is answered to a question; `undefined` leaves it without an answer. */
export type DnsAnswer =
  | { addresses: string[] }
  /** A chain of aliases, the last of which has the addresses. */
  | { aliases: string[]; addresses: string[] }
  /** Whatever is sent instead of an answer; `answer` is what it would be. */
  | { lie: (answer: Buffer, query: Buffer) => Buffer; addresses: string[] }
  | 'nxdomain'
  | 'servfail'
  | undefined;

/** A name server of the test's own, on loopback. */
export type DnsServer = {
  /** `127.0.0.1:port`. */
  address: string;
  /** Names that were asked for, each with its type, in order. */
  questions: string[];
  close: () => void;
};

const TYPE_A = 1;
const TYPE_CNAME = 5;
const TYPE_AAAA = 28;

/** Starts a name server. `answer` gives the addresses of both families; those of the family that is asked for are sent. */
export async function startDnsServer(answer: (name: string) => DnsAnswer): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const questions: string[] = [];
  socket.on('message', (query, client) => {
    const { name, type, end } = readQuestion(query);
    questions.push(`${name} ${type === TYPE_AAAA ? 'AAAA' : 'A'}`);
    const found = answer(name);
    if (found === undefined) return;
    const answered = reply(query, end, type, found);
    const sent = typeof found === 'object' && 'lie' in found ? found.lie(answered, query) : answered;
    socket.send(sent, client.port, client.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { address: `127.0.0.1:${socket.address().port}`, questions, close: () => socket.close() };
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  while (query[at] !== 0) {
    const length = query[at]!;
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function reply(query: Buffer, end: number, type: number, answer: Exclude<DnsAnswer, undefined>): Buffer {
  const records: Buffer[] = [];
  if (typeof answer === 'object') {
    let owner: Buffer = Buffer.from([0xc0, 12]);
    for (const name of 'aliases' in answer ? answer.aliases : []) {
      const alias = encodeName(name);
      records.push(record(owner, TYPE_CNAME, alias));
      owner = alias;
    }
    for (const address of answer.addresses) {
      const ofType = address.includes(':') ? TYPE_AAAA : TYPE_A;
      if (ofType === type) records.push(record(owner, type, encodeAddress(address)));
    }
  }
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180 | (answer === 'nxdomain' ? 3 : answer === 'servfail' ? 2 : 0), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(records.length, 6);
  return Buffer.concat([head, query.subarray(12, end), ...records]);
}

function record(owner: Buffer, type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, head, data]);
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function encodeAddress(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const [before, after] = address.split('::');
  const groups = (text: string | undefined): number[] =>
    text ? text.split(':').map((group) => parseInt(group, 16)) : [];
  const [left, right] = [groups(before), groups(after)];
  const all = address.includes('::')
    ? [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
    : left;
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]));
}
