/** What a command sees of its process, so that it can be called from elsewhere. */
export type Terminal = {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { readonly isTTY?: boolean; write(text: string): unknown };
};
