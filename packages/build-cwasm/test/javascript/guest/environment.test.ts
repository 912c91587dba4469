import { expect, test } from 'vitest';
import { createEnvironment } from '../../../src/javascript/guest/environment.ts';

const VARIABLES: [string, string][] = [
  ['NAME', 'value'],
  ['EMPTY', ''],
];

test('the host is asked at the first look, and once', () => {
  let asked = 0;
  const environment = createEnvironment(() => {
    asked += 1;
    return VARIABLES;
  });
  expect(asked).toBe(0);
  expect([environment['NAME'], environment['EMPTY'], environment['OTHER'], asked]).toEqual(['value', '', undefined, 1]);
});

test('it is empty as long as there is none, and asks again', () => {
  let there = false;
  const environment = createEnvironment(() => (there ? VARIABLES : undefined));
  expect([environment['NAME'], Object.keys(environment)]).toEqual([undefined, []]);
  there = true;
  expect(environment['NAME']).toBe('value');
});

test('it is like an object that holds the variables', () => {
  const fresh = () => createEnvironment(() => VARIABLES);
  expect({ ...fresh() }).toEqual({ NAME: 'value', EMPTY: '' });
  expect(Object.keys(fresh())).toEqual(['NAME', 'EMPTY']);
  expect(JSON.stringify(fresh())).toBe('{"NAME":"value","EMPTY":""}');
  expect(['NAME' in fresh(), 'OTHER' in fresh(), Object.hasOwn(fresh(), 'EMPTY')]).toEqual([true, false, true]);
  const { NAME, ...others } = fresh();
  expect([NAME, others]).toEqual(['value', { EMPTY: '' }]);
  const changed = fresh();
  changed['ADDED'] = 'x';
  delete changed['NAME'];
  expect({ ...changed }).toEqual({ EMPTY: '', ADDED: 'x' });
});
