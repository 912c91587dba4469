import type { IncomingMessage, ServerResponse } from 'node:http';
import { duplexPair, type Duplex } from 'node:stream';
import { parseHost } from './host.ts';
import { continueTrace, type TraceContext } from './trace-context.ts';

/** A call of one function by another, by way of a virtual host. */
export type InternalCall = {
  /** The function that is called. */
  functionName: string;
  callerName: string;
  /** The request that the caller serves. */
  callerRequestId: string;
  /** The request of a client at the beginning of the chain. */
  rootRequestId: string;
  /** How many calls lie between a client and this one: 1 for a function that was called by one that a client called. */
  depth: number;
  /** The trace that the caller's request belongs to. */
  traceContext: TraceContext | undefined;
};

/** Names below `playa.internal`: functions of this server, without a network. */
export type VirtualHosts = {
  /** Opens a connection to a function, on which HTTP is spoken. */
  connect: (call: InternalCall) => Duplex;
  /** The call that a connection of the server belongs to; `undefined` for one from outside. */
  callOf: (socket: Duplex) => InternalCall | undefined;
};

const DOMAIN = '.playa.internal';

/** The port of virtual hosts. There is no TLS: nothing leaves the process. */
export const VIRTUAL_PORT = 80;

/**
 * The function that a name means: `hello.playa.internal` is `hello`, `resize.acme.playa.internal` is `acme/resize`. `undefined` for a name that is
 * not below `playa.internal`.
 */
export function functionOfHost(name: string): string | undefined {
  if (!name.endsWith(DOMAIN)) return undefined;
  return name.slice(0, -DOMAIN.length).split('.').toReversed().join('/');
}

/** Whether a host, however it is spelled, is a function of this server. */
export function isVirtualHost(text: string): boolean {
  const host = parseHost(text);
  return host.kind === 'name' && functionOfHost(host.name) !== undefined;
}

/**
 * Makes a request that came by a virtual host the one of its call: it stays in the caller's trace unless it names another, and it is the only one
 * of its connection, as who calls is known of that.
 */
export function joinCall(request: IncomingMessage, response: ServerResponse, call: InternalCall): void {
  continueTrace(request, call.traceContext);
  response.shouldKeepAlive = false;
}

/** Makes virtual hosts. `accept` takes a connection as an HTTP server does. */
export function createVirtualHosts(accept: (socket: Duplex) => void): VirtualHosts {
  const calls = new WeakMap<Duplex, InternalCall>();
  return {
    connect: (call) => {
      const [client, server] = duplexPair();
      calls.set(server, call);
      // What an end does to the other shows there.
      client.on('close', () => server.destroy());
      server.on('error', () => undefined);
      server.on('close', () => client.destroy());
      accept(server);
      return client;
    },
    callOf: (socket) => calls.get(socket),
  };
}
