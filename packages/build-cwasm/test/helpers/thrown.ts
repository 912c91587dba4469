import { BuildError } from '../../src/build-error.ts';

/** The BuildError that a call throws or a promise rejects with. Anything else fails the test. */
export async function thrownBy(call: () => unknown): Promise<BuildError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('expected a BuildError');
}
