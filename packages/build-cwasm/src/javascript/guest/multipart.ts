// formData() of Request and Response for multipart/form-data: the engine's own parser spoils the content of files (it gives
// the bytes as decimal numbers) and refuses those that are not UTF-8. Other types are left to the engine.

type Body = Request | Response;
type NativeFormData = (this: Body) => Promise<FormData>;

/** Makes a `formData` method that reads multipart bodies itself and leaves all others to `native`. */
export function createFormDataMethod(native: NativeFormData): NativeFormData {
  return async function formData(this: Body): Promise<FormData> {
    const type = this.headers.get('content-type') ?? '';
    if (!/^multipart\/form-data\s*(?:;|$)/i.test(type)) return native.call(this);
    const boundary = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(type);
    if (boundary === null) throw new TypeError('formData: the content-type has no boundary');
    return parseMultipart(await this.arrayBuffer(), (boundary[1] ?? boundary[2])!);
  };
}

/** Parses a body of RFC 7578. */
export function parseMultipart(body: ArrayBuffer, boundary: string): FormData {
  const bytes = new Uint8Array(body);
  // One character for each byte, so that positions in the text are positions in the bytes.
  const text = new TextDecoder('latin1').decode(bytes);
  const delimiter = `--${boundary}`;
  const form = new FormData();
  let at = text.startsWith(delimiter) ? 0 : text.indexOf(`\r\n${delimiter}`) + 2;
  if (at === 1) throw malformed('its first boundary is missing');
  for (;;) {
    at += delimiter.length;
    if (text.startsWith('--', at)) return form;
    const lineEnd = text.indexOf('\r\n', at);
    // White space may follow a boundary on its line.
    if (lineEnd < 0 || text.slice(at, lineEnd).trim() !== '') throw malformed('it is cut short');
    const bodyStart = text.startsWith('\r\n', lineEnd + 2) ? lineEnd + 2 : text.indexOf('\r\n\r\n', lineEnd + 2) + 2;
    const next = text.indexOf(`\r\n${delimiter}`, bodyStart);
    if (bodyStart === 1 || next < 0) throw malformed('it is cut short');
    appendPart(form, bytes.subarray(lineEnd + 2, bodyStart), bytes.subarray(bodyStart + 2, next));
    at = next + 2;
  }
}

function appendPart(form: FormData, head: Uint8Array, content: Uint8Array): void {
  const utf8 = new TextDecoder();
  const fields = new Map<string, string>();
  for (const line of utf8.decode(head).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  const disposition = fields.get('content-disposition') ?? '';
  const name = parameter(disposition, 'name');
  if (name === undefined || !/^form-data\s*(?:;|$)/i.test(disposition)) throw malformed('a part has no name');
  const filename = parameter(disposition, 'filename');
  if (filename === undefined) {
    form.append(name, utf8.decode(content));
  } else {
    const type = fields.get('content-type') ?? 'text/plain';
    form.append(name, new File([content as Uint8Array<ArrayBuffer>], filename, { type }));
  }
}

/** A parameter of a header field, with the escapes undone that browsers use in it. */
function parameter(field: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`, 'i').exec(field);
  const value = match?.[1]?.replaceAll(/\\(["\\])/g, '$1') ?? match?.[2];
  return value?.replaceAll(/%(22|0D|0A)/gi, (escape) => decodeURIComponent(escape));
}

function malformed(why: string): TypeError {
  return new TypeError(`formData: the body is no multipart/form-data: ${why}`);
}
