import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';

/**
 * Holds the checkout for one set-up at a time: a second one would delete `node_modules` under the first.
 * The lock is flock(1)'s, held by a helper that ends with our end of its pipe, so it cannot outlive this process
 * however that dies.
 * @param {string} file made when it is not there
 * @param {() => void} onWait called once when somebody else holds it
 * @param {AbortSignal} signal gives up waiting
 * @returns {Promise<() => void>} releases it; where there is no flock(1), set-up goes on without a lock
 */
export function takeLock(file, onWait, signal) {
  mkdirSync(path.dirname(file), { recursive: true });
  return new Promise((resolve, reject) => {
    const helper = spawn('flock', ['--', file, 'sh', '-c', 'echo held; exec cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    // Nobody waits a noticeable time for a free lock.
    const timer = setTimeout(onWait, 500);
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    };
    const giveUp = () => {
      settle();
      helper.kill();
      reject(signal.reason);
    };
    const release = () => helper.stdin.end();
    signal.addEventListener('abort', giveUp, { once: true });
    helper.once('error', () => {
      settle();
      resolve(() => undefined);
    });
    helper.stdout.once('data', () => {
      settle();
      resolve(release);
    });
    helper.once('exit', (status) => {
      settle();
      reject(new Error(`cannot lock ${file}: flock ended with status ${status}`));
    });
  });
}
