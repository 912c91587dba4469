import { accessSync, constants, mkdirSync } from 'node:fs';
import path from 'node:path';
import { capture } from '../lib/capture.mjs';
import { runCommand } from '../lib/command.mjs';
import { fingerprint } from '../lib/fingerprint.mjs';
import { isStamped, leaveStamp } from '../lib/stamp.mjs';
import { isOlder } from '../lib/version.mjs';

/** Where its version and those of all its modules are pinned. */
const SOURCE = 'test/stores/versitygw';
/** As its go.mod says. */
const OLDEST_GO = '1.25.0';
/** Where Go's own archives are unpacked by its instructions. */
const USUAL_FOLDER = '/usr/local/go/bin';

/**
 * The step that builds versitygw, the S3 server of the tests, with Go. Where that is missing or cannot fetch modules, it says so and
 * fails nothing: the tests that need it are skipped.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {import('../lib/step.mjs').Step}
 */
export function createVersitygwStep(project) {
  const stampFile = path.join(project.buildFolder, 'stamps/versitygw.json');
  const program = path.join(project.buildFolder, 'bin/versitygw');
  const inputs = () => fingerprint(project.root, [SOURCE]);
  return {
    name: 'versitygw',
    isCurrent: () => isStamped(stampFile, inputs()),
    run: async ({ update, signal }) => {
      const before = inputs();
      const go = findGo(project.env.PATH ?? '');
      const reason = go === undefined ? 'there is no Go' : await whyUnusable(go, project.env);
      if (go === undefined || reason !== undefined) {
        return `left out, and the tests that need it: ${reason}`;
      }
      let packages = 0;
      mkdirSync(path.dirname(program), { recursive: true });
      try {
        await runCommand(
          go,
          ['build', '-v', '-trimpath', '-o', program, 'github.com/versity/versitygw/cmd/versitygw'],
          {
            cwd: path.join(project.root, SOURCE),
            env: {
              ...project.env,
              CGO_ENABLED: '0',
              GOFLAGS: '-buildvcs=false -mod=readonly',
              GOTOOLCHAIN: 'local',
            },
            logFile: path.join(project.buildFolder, 'logs/versitygw.log'),
            signal,
            onLine: (line) => {
              update(line.startsWith('go: ') ? line.slice('go: '.length) : `${++packages} packages compiled`);
            },
          },
        );
      } catch (error) {
        if (signal.aborted) {
          throw error;
        }
        return 'left out, and the tests that need it: Go could not build it; build/logs/versitygw.log says why';
      }
      leaveStamp(stampFile, before, [program]);
      return 'built';
    },
  };
}

/**
 * @param {string} search folders as in PATH
 * @returns {string | undefined}
 */
function findGo(search) {
  const folders = [...search.split(path.delimiter).filter(Boolean), USUAL_FOLDER];
  return folders.map((folder) => path.join(folder, 'go')).find(isExecutable);
}

/**
 * @param {string} file
 * @returns {boolean}
 */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {string} go
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>}
 */
async function whyUnusable(go, env) {
  const { stdout } = await capture(go, ['env', 'GOVERSION'], { env: { ...env, GOTOOLCHAIN: 'local' } });
  const version = /^go(\d+\.\d+(?:\.\d+)?)/.exec(stdout.trim())?.[1];
  if (version === undefined) {
    return `${go} does not say its version`;
  }
  return isOlder(version, OLDEST_GO) ? `Go ${version} is older than ${OLDEST_GO}` : undefined;
}
