import { SetupFailure } from '../lib/failure.mjs';

/** Node that set-up itself needs; everything else runs on Node 24, which it installs. */
const OLDEST_NODE_MAJOR = 20;

/**
 * Makes sure that Playa exists for this machine at all.
 * @param {{ platform: string, arch: string, nodeVersion: string }} machine as `process` names them
 */
export function checkPlatform({ platform, arch, nodeVersion }) {
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) {
    throw new SetupFailure(`Playa runs on Linux on x64 and arm64, and this is ${platform} on ${arch}`, {
      remedy:
        'its sandboxes are made of Linux namespaces: use a Linux machine or a virtual machine (on Windows: WSL 2)',
    });
  }
  if (Number.parseInt(nodeVersion.replace(/^v/, ''), 10) < OLDEST_NODE_MAJOR) {
    throw new SetupFailure(`set-up needs Node ${OLDEST_NODE_MAJOR} or newer, and this is ${nodeVersion}`, {
      remedy: 'install a newer Node, from nodejs.org or with a version manager such as nvm or fnm',
    });
  }
}
