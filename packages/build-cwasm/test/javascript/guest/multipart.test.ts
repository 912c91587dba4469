import { describe, expect, test } from 'vitest';
import { createFormDataMethod, parseMultipart } from '../../../src/javascript/guest/multipart.ts';

const formData = createFormDataMethod(Response.prototype.formData);

function body(...parts: (string | Uint8Array)[]): ArrayBuffer {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
}

async function entries(form: FormData): Promise<unknown[]> {
  const all = [];
  for (const [name, value] of form) {
    all.push(typeof value === 'string' ? [name, value] : [name, value.name, value.type, [...(await value.bytes())]]);
  }
  return all;
}

describe('a multipart body', () => {
  test('gives texts and files, whatever bytes they hold', async () => {
    const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const form = parseMultipart(
      body(
        'a preamble\r\n--B\r\ncontent-disposition: form-data; name="text"\r\n\r\nä\r\nline\r\n',
        '--B  \r\nContent-Type: image/x\r\nContent-Disposition: form-data; name=file; filename="ä.bin"\r\n\r\n',
        everyByte,
        '\r\n--B\r\nContent-Disposition: form-data; name="empty"; filename=""\r\n\r\n\r\n--B\r\nContent-Disposition: form-data; name="text"\r\n\r\n\r\n--B--an epilogue',
      ),
      'B',
    );
    expect(await entries(form)).toEqual([
      ['text', 'ä\r\nline'],
      ['file', 'ä.bin', 'image/x', [...everyByte]],
      ['empty', '', 'text/plain', []],
      ['text', ''],
    ]);
  });

  test('without parts is an empty form', async () => {
    expect(await entries(parseMultipart(body('--B--\r\n'), 'B'))).toEqual([]);
  });

  test('has the escapes of names undone', async () => {
    const head = 'Content-Disposition: form-data; name="a%22b%0D%0A"; filename="c\\"d"';
    expect(await entries(parseMultipart(body(`--B\r\n${head}\r\n\r\nx\r\n--B--`), 'B'))).toEqual([
      ['a"b\r\n', 'c"d', 'text/plain', [120]],
    ]);
  });

  test.each([
    [''],
    ['--C--'],
    ['--B'],
    ['--B\r\n'],
    ['--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nno end'],
    ['--B\r\nContent-Disposition: form-data; name="a"\r\nno empty line'],
    ['--B\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--B--'],
    ['--B\r\nContent-Disposition: attachment; name="a"\r\n\r\nother\r\n--B--'],
    ['--Bsomething\r\n\r\n\r\n--B--'],
  ])('%j is refused', (text) => {
    expect(() => parseMultipart(body(text), 'B')).toThrow(TypeError);
  });

  test('cut anywhere is refused, never read for ever', () => {
    const whole = '--B\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\ncontent\r\n--B--';
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => parseMultipart(body(whole.slice(0, length)), 'B')).toThrow(TypeError);
    }
  });
});

describe('formData()', () => {
  test('reads the boundary of the content-type, quoted or not', async () => {
    for (const boundary of ['b=1', '"a b"']) {
      const headers = { 'content-type': `Multipart/Form-Data; charset=x; boundary=${boundary}` };
      const plain = boundary.replaceAll('"', '');
      const text = `--${plain}\r\nContent-Disposition: form-data; name="n"\r\n\r\nv\r\n--${plain}--`;
      expect(await entries(await formData.call(new Response(text, { headers })))).toEqual([['n', 'v']]);
    }
  });

  test('is refused without a boundary, and leaves other types to the engine', async () => {
    const headers = { 'content-type': 'multipart/form-data' };
    await expect(formData.call(new Response('x', { headers }))).rejects.toThrow('no boundary');
    expect(await entries(await formData.call(new Response(new URLSearchParams('a=1'))))).toEqual([['a', '1']]);
  });
});
