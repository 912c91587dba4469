/** The first file descriptors of a program that the spawner starts: 3 control, then the lanes, then bubblewrap's own two. */
const CONTROL_FD = 3;

/**
 * The arguments of bubblewrap for one runner: all namespaces of its own, no capabilities, an empty read-only root with the runner's binary and the one
 * folder that its component appears in, no /proc, no /dev, no environment, and a seccomp filter (seccomp-filter.ts).
 *
 * `--as-pid-1` is left out on purpose: code that was taken over could clear its parent-death signal and outlive the sandbox. With bubblewrap's own
 * first process it cannot, and killing that process kills everything in the namespace.
 */
export function sandboxArguments(sandbox: { runner: string; inputDirectory: string; lanes: number }): string[] {
  // Where the spawner has put them: where bubblewrap writes the first process's id, and where it reads the seccomp filter from.
  const infoFd = CONTROL_FD + 1 + sandbox.lanes;
  const filterFd = infoFd + 1;
  return [
    '--unshare-all',
    '--cap-drop',
    'ALL',
    '--die-with-parent',
    '--new-session',
    '--clearenv',
    '--tmpfs',
    '/',
    '--ro-bind',
    sandbox.runner,
    '/runner',
    '--ro-bind',
    sandbox.inputDirectory,
    '/in',
    '--remount-ro',
    '/',
    '--info-fd',
    String(infoFd),
    '--seccomp',
    String(filterFd),
    '/runner',
    String(sandbox.lanes),
  ];
}
