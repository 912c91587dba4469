import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { ConfigError } from '../config/config-error.ts';

const MIN_LENGTH = 16;

/**
 * Reads the token that the admin listener asks for; where the file is not there, one is made up and written for the owner alone.
 * @throws {ConfigError} when the file can neither be read nor made, or holds too short a token.
 */
export function openAdminToken(file: string): string {
  try {
    writeFileSync(file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new ConfigError(`the admin token cannot be written: ${(error as Error).message}`, { cause: error });
    }
  }
  let token: string;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new ConfigError(`the admin token cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (token.length >= MIN_LENGTH) return token;
  throw new ConfigError(`the admin token in ${file} is shorter than ${MIN_LENGTH} characters`);
}
