import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** A key and a certificate with its name, as Node's TLS server takes them. */
export type Identity = { key: string; cert: string };

/** An authority of the test's own. */
export type Authority = {
  /** The file of its certificate. */
  file: string;
  /** Its certificate, PEM. */
  root: string;
  /** Makes a certificate for names or addresses (`DNS:a.test`, `IP:127.0.0.1`); `expired` ended yesterday. */
  issue: (alternativeName: string, expired?: boolean) => Identity;
  remove: () => void;
};

/** Whether the openssl command is there, which makes the certificates. */
export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Makes an authority. */
export function makeAuthority(): Authority {
  const folder = makeTemporaryFolder('certificates');
  const path = (name: string): string => join(folder.path, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.pem'),
    '-days',
    '7',
    '-subj',
    '/CN=Test authority',
  );
  let issued = 0;
  return {
    file: path('ca.pem'),
    root: readFileSync(path('ca.pem'), 'utf8'),
    issue: (alternativeName, expired = false) => {
      const name = `leaf-${++issued}`;
      const extension = `subjectAltName=${alternativeName}`;
      openssl('req', ...key, '-keyout', path(`${name}.key`), '-out', path(`${name}.csr`), '-subj', '/CN=leaf');
      writeFileSync(path(`${name}.ext`), `${extension}\nbasicConstraints=CA:FALSE\n`);
      const days = expired ? '-1' : '7';
      const authority = [
        '-CA',
        path('ca.pem'),
        '-CAkey',
        path('ca.key'),
        '-CAcreateserial',
        '-extfile',
        path(`${name}.ext`),
      ];
      openssl('x509', '-req', '-in', path(`${name}.csr`), ...authority, '-days', days, '-out', path(`${name}.pem`));
      return { key: readFileSync(path(`${name}.key`), 'utf8'), cert: readFileSync(path(`${name}.pem`), 'utf8') };
    },
    remove: folder.remove,
  };
}
