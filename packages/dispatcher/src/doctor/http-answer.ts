import { request } from 'node:http';

/** An answer as far as it came. */
export type DoctorAnswer = {
  /** 0 where there was none. */
  status: number;
  /** The platform's code, where the platform answered in place of the function. */
  outcome: string;
  /** At most a mebibyte of it. */
  text: string;
  /** Whether it came to its end. */
  complete: boolean;
  durationMs: number;
};

const MAX_TEXT_BYTES = 1024 * 1024;

/** Requests a URL of a server of the doctor's own. Never rejects: an answer that is cut is what many an attack should come to. */
export function ask(url: string, timeoutMs: number): Promise<DoctorAnswer> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    let [status, outcome, text] = [0, '', ''];
    const end = (complete: boolean): void => {
      clearTimeout(timer);
      resolve({ status, outcome, text, complete, durationMs: performance.now() - startedMs });
    };
    const sent = request(url, { agent: false }, (response) => {
      status = response.statusCode ?? 0;
      outcome = String(response.headers['x-playa-outcome'] ?? '');
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        if (text.length < MAX_TEXT_BYTES) text += chunk;
      });
      response.on('close', () => end(response.complete));
    });
    const timer = setTimeout(() => sent.destroy(), timeoutMs);
    sent.on('error', () => end(false));
    sent.end();
  });
}
