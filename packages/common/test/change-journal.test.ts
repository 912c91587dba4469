import { expect, test } from 'vitest';
import {
  changesSince,
  encodeJournal,
  MAX_CHANGES,
  MAX_JOURNAL_BYTES,
  parseJournal,
  withChange,
} from '../src/change-journal.ts';

test('what has changed since a reading is named, each once; what is too long ago is everything', () => {
  let journal = withChange(undefined, 'a');
  for (const name of ['b', 'a', 'c', 'a']) journal = withChange(journal, name);
  expect(parseJournal(encodeJournal(journal))).toEqual(journal);
  expect(changesSince(journal, 5)).toEqual([]);
  expect(changesSince(journal, 3)).toEqual(['a', 'c']);
  expect(changesSince(journal, 0)).toEqual(['a', 'c', 'b']);
  expect(changesSince(journal, -1)).toBe('all');
  // Somebody has begun a new one.
  expect(changesSince(journal, 6)).toBe('all');
});

test('a journal stays small, and what is none is refused', () => {
  let journal = withChange(undefined, 'n');
  for (let index = 0; index < 2 * MAX_CHANGES; index++) journal = withChange(journal, `${index}-`.padEnd(255, 'n'));
  expect(journal.names).toHaveLength(MAX_CHANGES);
  expect(encodeJournal(journal).length).toBeLessThan(MAX_JOURNAL_BYTES);
  for (const text of [
    '',
    '{}',
    '{"playa":"changes","format":2,"serial":1,"names":[]}',
    '{"playa":"changes","format":1,"serial":1,"names":[1]}',
  ]) {
    expect(() => parseJournal(Buffer.from(text))).toThrow(/no journal of format 1/);
  }
});
