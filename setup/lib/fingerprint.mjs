import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { listFiles } from './files.mjs';

/**
 * A digest over names and contents of files and whole folders: equal as long as nothing in them changed.
 * What does not exist counts as absent, so that it changes the digest when it appears.
 * @param {string} root the folder that names are relative to
 * @param {string[]} names files and folders below the root
 * @param {string[]} [facts] other text that the digest is to depend on, such as a version
 * @returns {string} 64 hex digits
 */
export function fingerprint(root, names, facts = []) {
  const digest = createHash('sha256');
  // A digest of each part keeps the parts apart: no content can pass for the name that follows it.
  const add = (/** @type {string | Buffer} */ part) => digest.update(createHash('sha256').update(part).digest());
  for (const name of names.flatMap((each) => listFiles(root, each)).toSorted()) {
    add(name);
    add(readContent(path.join(root, name)));
  }
  for (const fact of facts) {
    add(fact);
  }
  return digest.digest('hex');
}

/**
 * @param {string} file
 * @returns {string | Buffer}
 */
function readContent(file) {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) {
    return 'absent';
  }
  return found.isSymbolicLink() ? `link ${readlinkSync(file)}` : found.isFile() ? readFileSync(file) : 'other';
}
