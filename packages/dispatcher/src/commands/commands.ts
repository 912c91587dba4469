import type { Command } from './command.ts';

/** The commands that talk to a bucket: their summaries for the help, and how to load them, as not every start needs them. */
export const BUCKET_COMMANDS: Readonly<Record<string, { summary: string; load: () => Promise<Command> }>> = {
  deploy: {
    summary: 'Builds a function, signs it and uploads it.',
    load: async () => (await import('./deploy.ts')).DEPLOY,
  },
  list: {
    summary: 'Shows the functions of a bucket, or the versions of one.',
    load: async () => (await import('./list.ts')).LIST,
  },
  rollback: {
    summary: 'Makes an earlier version of a function the present one.',
    load: async () => (await import('./rollback.ts')).ROLLBACK,
  },
  remove: {
    summary: 'Removes a function from a bucket.',
    load: async () => (await import('./remove.ts')).REMOVE,
  },
  prune: {
    summary: 'Removes earlier versions of functions, and artifacts that no function refers to.',
    load: async () => (await import('./prune.ts')).PRUNE,
  },
  verify: {
    summary: 'Says whether an artifact would be loaded.',
    load: async () => (await import('./verify.ts')).VERIFY,
  },
  rebuild: {
    summary: 'Compiles a function anew from its component, or compares.',
    load: async () => (await import('./rebuild.ts')).REBUILD,
  },
  egress: {
    summary: 'Prints the ledger of outgoing connections, of one function or of all, and checks its chain.',
    load: async () => (await import('./egress.ts')).EGRESS,
  },
};
