/** An element with all its text and its child elements. Attributes are not kept: no answer of an object store needs them. */
export type XmlElement = { name: string; text: string; children: XmlElement[] };

const MAX_DEPTH = 16;
const MAX_ELEMENTS = 20_000;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
// A declaration or comment, CDATA, a tag, or text. Each alternative begins with another character, so nothing is tried twice.
const TOKEN = /<\?[^]*?\?>|<!--[^]*?-->|<!\[CDATA\[([^]*?)\]\]>|<(\/?)([^\s<>/!?]+)([^<>]*)>|([^<]+)/gy;

/**
 * Reads an answer of an object store: elements, text, the five entities, character references, also of characters that XML forbids, as
 * keys may hold them. Document types are refused, and with them every way to make a small document large.
 * @throws {SyntaxError} for anything else, and for more than 16 levels or 20,000 elements
 */
export function parseXml(document: string): XmlElement {
  const root: XmlElement = { name: '', text: '', children: [] };
  const open: XmlElement[] = [root];
  let elements = 0;
  TOKEN.lastIndex = 0;
  let position = document.startsWith('\ufeff') ? 1 : 0;
  while (position < document.length) {
    TOKEN.lastIndex = position;
    const token = TOKEN.exec(document);
    if (token === null) throw new SyntaxError(`malformed XML at character ${position}`);
    position = TOKEN.lastIndex;
    const [, cdata, closing, name, rest, text] = token;
    const parent = open.at(-1)!;
    if (text !== undefined) parent.text += decodeText(text);
    else if (cdata !== undefined) parent.text += cdata;
    else if (name !== undefined) {
      if (closing === '/') {
        if (open.length === 1 || parent.name !== localName(name))
          throw new SyntaxError(`XML closes <${name}> too early`);
        open.pop();
        continue;
      }
      if (++elements > MAX_ELEMENTS) throw new SyntaxError(`XML with more than ${MAX_ELEMENTS} elements`);
      const element = { name: localName(name), text: '', children: [] };
      parent.children.push(element);
      if (rest!.endsWith('/')) continue;
      if (open.push(element) > MAX_DEPTH) throw new SyntaxError(`XML with more than ${MAX_DEPTH} levels`);
    }
  }
  if (open.length !== 1) throw new SyntaxError(`XML ends within <${open.at(-1)!.name}>`);
  if (root.children.length !== 1) throw new SyntaxError('XML without a root element');
  return root.children[0]!;
}

/** The text of the first child of that name. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function decodeText(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([a-z]{2,4}));/g, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name as string] ?? whole;
    const point = hex === undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
