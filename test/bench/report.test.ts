import { expect, test } from 'vitest';
import { readReport } from '../../bench/load/wrk.ts';
import { judge } from '../../bench/report/requirement.ts';
import { formatNumber, formatTable } from '../../bench/report/table.ts';
import { median } from '../../bench/statistics.ts';

test('what wrk reports becomes requests per second and milliseconds', () => {
  const line = '{"requests":3000,"durationUs":1500000,"p50Us":183,"p99Us":2000,"maxUs":9000,"failures":0}';
  expect(readReport(`Running 1s test\n${line}\n`, 'http://a/')).toEqual({
    requestsPerSecond: 2000,
    p50Ms: 0.183,
    p99Ms: 2,
    maxMs: 9,
  });
});

test.each([
  ['failures', '{"requests":10,"durationUs":1,"p50Us":1,"p99Us":1,"maxUs":1,"failures":1}', /1 of 10 requests/],
  ['nothing', '{"requests":0,"durationUs":1,"p50Us":0,"p99Us":0,"maxUs":0,"failures":0}', /nothing was answered/],
  ['no report', 'unable to connect', /printed no result/],
])('%s are no result', (_what, output, message) => {
  expect(() => readReport(output, 'http://a/')).toThrow(message);
});

test.each([
  [2.5, 'aim'],
  [2.4, 'aim'],
  [2, 'floor'],
  [1.5, 'floor'],
  [1.49, 'below'],
])('%d against a floor of 1.5 and an aim of 2.4, where higher is better: %s', (value, verdict) => {
  expect(judge(value, { floor: 1.5, aim: 2.4, better: 'higher' })).toBe(verdict);
});

test.each([
  [0.9, 'aim'],
  [1.3, 'floor'],
  [1.31, 'below'],
])('%d against a floor of 1.3 and an aim of 1, where lower is better: %s', (value, verdict) => {
  expect(judge(value, { floor: 1.3, aim: 1, better: 'lower' })).toBe(verdict);
});

test('the median', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(() => median([])).toThrow('no values');
});

test('numbers and tables', () => {
  expect([31_940.4, 12.34, 1.5, 0.1834].map(formatNumber)).toEqual(['31,940', '12.3', '1.50', '0.183']);
  expect(formatTable(['a', 'bb'], [['long', '1']])).toBe('a     bb\n----  --\nlong   1');
});
