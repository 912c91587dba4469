import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** Folders that hold results and not sources, wherever they are. */
const RESULT_FOLDERS = new Set(['node_modules', 'target', 'dist', '.git']);

/**
 * The files that a name stands for: all below a folder but results, else the name itself, whether or not it exists.
 * @param {string} root the folder that names are relative to
 * @param {string} name
 * @returns {string[]} names relative to the root
 */
export function listFiles(root, name) {
  const found = lstatSync(path.join(root, name), { throwIfNoEntry: false });
  if (!found?.isDirectory()) {
    return [name];
  }
  return readdirSync(path.join(root, name))
    .filter((entry) => !RESULT_FOLDERS.has(entry))
    .flatMap((entry) => listFiles(root, path.join(name, entry)));
}
