import { createSocket } from 'node:dgram';

/** Where every cloud has its metadata. */
const METADATA = '169.254.169.254';

/**
 * Whether the kernel refuses this process a way to a metadata service, as behind deploy/egress-fence. It asks for a route and sends
 * nothing: that is what connecting a datagram socket does.
 */
export function isSecondFenceActive(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const settle = (active: boolean): void => {
      socket.close();
      resolve(active);
    };
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code === 'EACCES'));
    socket.on('connect', () => settle(false));
    // Without a callback, which would be told of an error instead of the listener above.
    socket.connect(80, METADATA);
  });
}

/** What the doctor says of it. */
export function describeSecondFence(active: boolean): string {
  return active
    ? 'The second fence of docs/egress.md is active: the kernel refuses this host metadata services.\n'
    : 'The second fence of docs/egress.md is not active: only the server itself keeps functions from metadata services.\n';
}
