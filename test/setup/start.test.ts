import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { openProject } from '../../setup/lib/project.mjs';
import { createExamplesStep } from '../../setup/steps/example-functions.mjs';
import { createNpmStep } from '../../setup/steps/npm-packages.mjs';
import { createRunnerStep } from '../../setup/steps/runner-binary.mjs';
import { createWasmtimeStep } from '../../setup/steps/wasmtime-command.mjs';

const project = openProject(process.env);
const steps = [
  createNpmStep(project, { name: 'npm packages', folder: '.', isNeeded: () => true }),
  createWasmtimeStep(project),
  createRunnerStep(project),
  createExamplesStep(project),
];
// Else the start would install and compile under the other tests' feet. `npm test` sets up first.
const isSetUp = (await Promise.all(steps.map((step) => step.isCurrent()))).every(Boolean);

test.skipIf(!isSetUp)('npm start serves the examples, and ends cleanly when told to', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'start-test-'));
  const args = ['setup/start.mjs', '--listen', '127.0.0.1:0', '--state-dir', stateDir];
  // Variables by which tests find programs are none of the server's.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PLAYA_')));
  const child = spawn(process.execPath, args, { cwd: project.root, stdio: ['ignore', 'pipe', 'pipe'], env });
  try {
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    let listening: { msg?: string; url?: string } = {};
    // What the host lacks is said before.
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      listening = JSON.parse(line.value) as { msg?: string; url?: string };
      if (listening.msg === 'listening') break;
    }
    expect(listening, said).toMatchObject({
      msg: 'listening',
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+/),
    });
    expect(said).toContain('curl -i URL/invoke/hello.cwasm');

    const answer = await fetch(new URL('/invoke/hello.cwasm', listening.url));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('server-timing')).toContain('guest');
    await answer.text();

    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
    await rm(stateDir, { recursive: true, force: true });
  }
});
