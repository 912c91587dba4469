import type { DoctorAnswer } from './http-answer.ts';

/** What a hostile function tries, and how it must end. */
export type GuestAttack = {
  name: string;
  /** The route of the hostile function; `PORT` stands for the port of the server that it runs on. */
  path: string;
  /** Whether the platform held; `logged` is what the server wrote of the function's output, in bytes. */
  holds: (answer: DoctorAnswer, logged: number) => boolean;
};

/** The function may take so long; the platform has half a second more to end it. */
export const DOCTOR_WALL_MS = 1_500;
/** What the function may write to its log. */
export const DOCTOR_LOG_BYTES = 16 * 1024;

const STOP_GRACE_MS = 500;

/** It ended with one of the codes, in time. */
const endsWith =
  (...outcomes: string[]) =>
  (answer: DoctorAnswer): boolean =>
    outcomes.includes(answer.outcome) && answer.durationMs < DOCTOR_WALL_MS + STOP_GRACE_MS;

/** The function answered, and says that there is no such file. */
const findsNothing = (answer: DoctorAnswer): boolean => answer.status === 200 && answer.text.startsWith('error: ');

/** The function answered, and says that it was forbidden, or that there is no such address: that nothing was there would be luck. */
const isForbidden = (answer: DoctorAnswer): boolean =>
  answer.status === 200 &&
  /^(?:error: (?:PermissionDenied|InvalidInput)|(?:failed|refused): ErrorCode::\w*(?:Denied|Prohibited))/.test(
    answer.text,
  );

/** All attacks that WebAssembly can try. */
export const GUEST_ATTACKS: readonly GuestAttack[] = [
  { name: 'endless loop', path: '/loop', holds: endsWith('wall_exceeded', 'cpu_exceeded', 'fuel_exhausted') },
  { name: 'waiting forever', path: '/never', holds: endsWith('wall_exceeded') },
  { name: 'memory bomb', path: '/memory', holds: endsWith('memory_exceeded') },
  {
    name: 'resource bomb',
    path: '/table?count=10000000',
    holds: endsWith('resource_exceeded', 'trap', 'memory_exceeded'),
  },
  { name: 'endless recursion', path: '/recurse', holds: endsWith('stack_overflow') },
  { name: 'trap', path: '/trap', holds: endsWith('trap') },
  { name: 'exit of the process', path: '/exit?code=0', holds: (answer) => answer.status !== 0 },
  {
    name: 'header bomb',
    path: '/headers-flood?bytes=10000000',
    holds: endsWith('header_too_large', 'trap', 'resource_exceeded'),
  },
  {
    name: 'answer that never ends',
    path: '/answer-then-never?bytes=1',
    holds: (answer) => !answer.complete && answer.durationMs < DOCTOR_WALL_MS + STOP_GRACE_MS,
  },
  {
    name: 'slow-loris answer',
    path: '/stream?chunks=100000&size=1&delayMs=50',
    holds: (answer) => !answer.complete && answer.durationMs < DOCTOR_WALL_MS + STOP_GRACE_MS,
  },
  {
    name: 'answer of a false length',
    path: '/content-length-lie?bytes=10',
    holds: (answer) => !answer.complete || answer.status >= 500,
  },
  {
    name: 'log flood',
    path: '/log?text=x&bytes=10000000',
    holds: (answer, logged) => answer.status !== 0 && logged <= 2 * DOCTOR_LOG_BYTES,
  },
  { name: 'reading a file of the host', path: '/file?path=/etc/passwd', holds: findsNothing },
  { name: 'listing the root folder', path: '/file?path=/&list=1', holds: findsNothing },
  { name: 'writing a file', path: '/file?path=/x&write=1', holds: findsNothing },
  {
    name: 'environment of the server',
    path: '/env',
    holds: (answer) => answer.status === 200 && !answer.text.includes('PATH'),
  },
  { name: 'metadata service over sockets', path: '/connect?address=169.254.169.254:80', holds: isForbidden },
  { name: "the server's own port over sockets", path: '/connect?address=127.0.0.1:PORT', holds: isForbidden },
  {
    name: "the server's own port in another spelling",
    path: '/connect?address=[::ffff:127.0.0.1]:PORT',
    holds: isForbidden,
  },
  {
    name: 'metadata service over HTTP',
    path: '/outgoing?url=http://169.254.169.254/latest/meta-data/',
    holds: isForbidden,
  },
  { name: "the server's own port over HTTP", path: '/outgoing?url=http://127.0.0.1:PORT/healthz', holds: isForbidden },
  { name: 'listening', path: '/listen', holds: isForbidden },
];
