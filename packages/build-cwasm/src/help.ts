import { EXIT_CODES } from './exit-codes.ts';
import { describeOptions } from './options.ts';

/** The whole help of build-cwasm. */
export async function helpText(): Promise<string> {
  const [{ BUILD_OPTIONS }, { INSPECT_OPTIONS }] = await Promise.all([
    import('./commands/build.ts'),
    import('./commands/inspect.ts'),
  ]);
  const codes = Object.values(EXIT_CODES).map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`);
  return `Builds a function: a signed .cwasm that the platform loads.

Usage:
  build-cwasm SOURCE [-o OUT.cwasm]      build SOURCE
  build-cwasm inspect FILE.cwasm         show the manifest, and whether signature and code hold

SOURCE is one of:
  .ts .tsx .mts .js .jsx .mjs   a handler: export default { fetch(request, env, ctx) }, a default function, or addEventListener("fetch")
  .wasm                         a component (wasi:http 0.2 or 0.3, or wasi:cli/run), or a wasip1 command (called as CGI)
  .wat                          the same in text form

Options of build:
${describeOptions(BUILD_OPTIONS)}

Options of inspect:
${describeOptions(INSPECT_OPTIONS)}

Exit codes:
${codes.join('\n')}
`;
}
