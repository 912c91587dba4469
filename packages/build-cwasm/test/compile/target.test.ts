import { expect, test } from 'vitest';
import { chooseTarget, cpuArguments } from '../../src/compile/target.ts';
import { thrownBy } from '../helpers/thrown.ts';

test.each([
  [undefined, undefined, 'x64', { triple: 'x86_64-unknown-linux-gnu', cpu: 'baseline' }],
  [undefined, 'x86-64-v3', 'x64', { triple: 'x86_64-unknown-linux-gnu', cpu: 'x86-64-v3' }],
  [undefined, undefined, 'arm64', { triple: 'aarch64-unknown-linux-gnu', cpu: 'baseline' }],
  ['aarch64-unknown-linux-gnu', undefined, 'x64', { triple: 'aarch64-unknown-linux-gnu', cpu: 'baseline' }],
])('--target %s --cpu %s on %s', (triple, cpu, host, expected) => {
  expect(chooseTarget(triple, cpu, host)).toEqual(expected);
});

test.each([
  ['wasm32-wasip1', undefined, 'x64', 'wasm32-wasip1'],
  [undefined, undefined, 'riscv64', 'riscv64'],
  [undefined, 'haswell', 'x64', 'haswell'],
  ['aarch64-unknown-linux-gnu', 'x86-64-v2', 'x64', 'x86-64-v2'],
])('--target %s --cpu %s on %s is refused', async (triple, cpu, host, named) => {
  const error = await thrownBy(() => chooseTarget(triple, cpu, host));
  expect(error).toMatchObject({ exit: 'usage', code: 'bad_option' });
  expect(error.message).toContain(named);
});

test('each level is a preset of the compiler', () => {
  expect(cpuArguments('baseline')).toEqual([]);
  expect(cpuArguments('x86-64-v2')).toEqual(['-C', 'cranelift-nehalem']);
  expect(cpuArguments('x86-64-v3')).toEqual(['-C', 'cranelift-haswell']);
});
