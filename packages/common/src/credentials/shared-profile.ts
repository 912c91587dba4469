import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { credentialError } from './credential-error.ts';

/** The settings of one profile, names in lower case. */
export type Profile = ReadonlyMap<string, string>;

/**
 * Reads a profile from the files that AWS's tools share: `~/.aws/config`, and over it `~/.aws/credentials`.
 * Undefined where neither has it.
 * @throws {ObjectStoreError} when a file cannot be read
 */
export async function readSharedProfile(name: string, env: NodeJS.ProcessEnv): Promise<Profile | undefined> {
  const home = env['HOME'] || homedir();
  const config = await readSections(env['AWS_CONFIG_FILE'] || join(home, '.aws/config'));
  const secret = await readSections(env['AWS_SHARED_CREDENTIALS_FILE'] || join(home, '.aws/credentials'));
  const parts = [config.get(`profile ${name}`), name === 'default' ? config.get(name) : undefined, secret.get(name)];
  const found = parts.filter((part) => part !== undefined);
  return found.length === 0 ? undefined : new Map(found.flatMap((part) => [...part]));
}

/** Sections of an INI file as AWS's tools read it: `#` and `;` begin comments, also behind a space; indented lines belong to the one above. */
export function parseSections(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\[\s*([^\]]+?)\s*\]/.exec(line);
    if (heading !== null) {
      const name = heading[1]!.replaceAll(/\s+/g, ' ').replaceAll(/["']/g, '');
      section = sections.get(name) ?? new Map<string, string>();
      sections.set(name, section);
      continue;
    }
    const setting = /^([^\s#;=][^=]*?)\s*=\s*(.*?)\s*$/.exec(line);
    if (setting !== null) section?.set(setting[1]!.toLowerCase(), setting[2]!.replace(/\s[#;].*$/, '').trimEnd());
  }
  return sections;
}

async function readSections(path: string): Promise<Map<string, Map<string, string>>> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw credentialError(path, `the file cannot be read (${error.code})`, { cause: error });
  });
  return parseSections(text);
}
