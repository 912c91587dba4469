import { InvocationError } from '../../outcome/invocation-error.ts';
import type { SourceCompiler } from './source-compiler.ts';

/** Stands in where there is no compiler: says so to everyone who asks for a function that would have to be compiled. */
export function createRefusingCompiler(why: string): SourceCompiler {
  return {
    compile: async (name, source) => {
      source.body.destroy();
      throw new InvocationError(
        'artifact_refused',
        `The bucket has ${name}.wasm but no ${name}.cwasm, and this server does not compile: ${why}. Build it with build-cwasm.`,
        { reason: 'no_compiler' },
      );
    },
    busyWith: () => false,
    close: () => undefined,
  };
}
