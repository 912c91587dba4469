import { copyFileSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { putFile } from './artifacts.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** A bucket: a folder of functions. */
export type TestBucket = {
  path: string;
  /** Where the artifact of a function lies. */
  file: (name: string) => string;
  /** Puts an artifact into the bucket, at once and complete: a file's path, or bytes. */
  put: (name: string, artifact: string | Buffer) => void;
  /** Puts a policy beside an artifact. */
  putPolicy: (name: string, policy: string) => void;
  drop: (name: string) => void;
  remove: () => void;
};

/** Makes a bucket with functions: name → path of an artifact, or its bytes. */
export function makeBucket(functions: Record<string, string | Buffer> = {}): TestBucket {
  const folder = makeTemporaryFolder('bucket');
  const file = (name: string): string => join(folder.path, `${name}.cwasm`);
  const put = (name: string, artifact: string | Buffer): void => {
    const target = file(name);
    mkdirSync(dirname(target), { recursive: true });
    if (typeof artifact !== 'string') return putFile(target, artifact);
    copyFileSync(artifact, `${target}.part`);
    renameSync(`${target}.part`, target);
  };
  for (const [name, artifact] of Object.entries(functions)) put(name, artifact);
  const putPolicy = (name: string, policy: string): void => putFile(join(folder.path, `${name}.toml`), policy);
  return { path: folder.path, file, put, putPolicy, drop: (name) => rmSync(file(name)), remove: folder.remove };
}
