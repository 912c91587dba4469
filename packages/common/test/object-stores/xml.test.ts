import { describe, expect, test } from 'vitest';
import { childText, parseXml } from '@playa/common/object-stores/xml';

describe('XML', () => {
  test('elements, attributes that are left out, namespaces, empty elements, comments, CDATA', () => {
    const element = parseXml(
      '\ufeff<?xml version="1.0"?>\n<!-- c --><s:A xmlns:s="x"><B a="1>">t</B ><C/><D k=\'v\' /><B><![CDATA[<&amp;]]> &amp;</B></s:A>\n'.replace(
        '1>',
        '1',
      ),
    );
    expect(element).toEqual({
      name: 'A',
      text: '',
      children: [
        { name: 'B', text: 't', children: [] },
        { name: 'C', text: '', children: [] },
        { name: 'D', text: '', children: [] },
        { name: 'B', text: '<&amp; &', children: [] },
      ],
    });
    expect(childText(element, 'B')).toBe('t');
    expect(childText(element, 'E')).toBeUndefined();
  });

  test('references, once, also to what XML forbids; unknown ones stay', () => {
    expect(parseXml('<a>&lt;&gt;&quot;&apos;&amp;lt; &#x1F642;&#65;&#x0;&#xffffff; &nbsp; &;</a>').text).toBe(
      '<>"\'&lt; 🙂A\0&#xffffff; &nbsp; &;',
    );
  });

  test.each([
    ['', 'root'],
    ['text', 'root'],
    ['<a>', 'ends within <a>'],
    ['</a>', 'too early'],
    ['<a></b>', 'too early'],
    ['<a><b></a></b>', 'too early'],
    ['<a/><b/>', 'root'],
    ['<a', 'malformed'],
    ['<a><!-- </a>', 'malformed'],
    ['<!DOCTYPE a><a/>', 'malformed'],
    ['<a><!ENTITY x "y"></a>', 'malformed'],
    ['<>', 'malformed'],
    ['<a>'.repeat(20), '16 levels'],
    [`<a>${'<b/>'.repeat(20_001)}</a>`, '20000 elements'],
  ])('%j is refused', (document, message) => {
    expect(() => parseXml(document)).toThrow(message);
  });

  test.each(['<', '<!--', '<a ', '<![CDATA[', '&amp;', '<?', '<a>', '</'])(
    'any number of %j is read in linear time',
    (part) => {
      // Quadratic time would need minutes for this much, and the test would run into its limit.
      const document = `<a>${part.repeat(2_000_000 / part.length)}`;
      expect(() => parseXml(document)).toThrow(SyntaxError);
    },
  );
});
