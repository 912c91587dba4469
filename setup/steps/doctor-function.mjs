import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from '../lib/command.mjs';
import { fingerprint } from '../lib/fingerprint.mjs';
import { isStamped, leaveStamp } from '../lib/stamp.mjs';
import { readWasmtimeVersion } from './wasmtime-command.mjs';

/** A function that can misbehave in every way there is; the tests use it too. */
const SOURCE = 'test/guests/prebuilt/probe.wasm';

/** @type {Record<string, string>} the targets of artifacts, whatever libc the host's own compiler builds for */
const TARGETS = { x64: 'x86_64-unknown-linux-gnu', arm64: 'aarch64-unknown-linux-gnu' };

/**
 * The step that compiles the function with which `playa doctor` attacks this host.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {import('../lib/step.mjs').Step}
 */
export function createDoctorStep(project) {
  const stampFile = path.join(project.buildFolder, 'stamps/doctor.json');
  const output = path.join(project.buildFolder, 'doctor/hostile-function.elf');
  const inputs = () => fingerprint(project.root, [SOURCE], [readWasmtimeVersion(project)]);
  return {
    name: 'doctor',
    after: ['wasmtime'],
    isCurrent: () => isStamped(stampFile, inputs()),
    run: async ({ update, signal }) => {
      const before = inputs();
      update('compiling the function it attacks with');
      mkdirSync(path.dirname(output), { recursive: true });
      const flags = [
        '-C',
        'cache=n',
        '-W',
        'fuel=1,epoch-interruption=y',
        '--target',
        TARGETS[process.arch] ?? process.arch,
      ];
      await runCommand(project.wasmtimeFile, ['compile', ...flags, '-o', `${output}.part`, SOURCE], {
        cwd: project.root,
        env: project.env,
        logFile: path.join(project.buildFolder, 'logs/doctor.log'),
        signal,
        onLine: () => undefined,
      });
      renameSync(`${output}.part`, output);
      leaveStamp(stampFile, before, [output]);
      return 'its function is compiled';
    },
  };
}
