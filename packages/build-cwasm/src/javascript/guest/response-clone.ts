// Response.prototype.clone, which the engine lacks.

/** Holds one branch of the body of a cloned response, whose own body is spent. */
const standIns = new WeakMap<Response, Response>();

const BODY_METHODS = ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text'] as const;

/** Clones a response: both may be read afterwards, or one read and the other returned. */
export function cloneResponse(this: Response): Response {
  if (this.bodyUsed || this.body?.locked) throw new TypeError('Response.clone: the body has been used already');
  const init = { status: this.status, statusText: this.statusText, headers: this.headers };
  if (this.body === null) return new Response(null, init);
  const [kept, cloned] = this.body.tee();
  const standIn = new Response(kept, init);
  standIns.set(this, standIn);
  // Own properties shadow those of the prototype, whose body is now locked by the tee.
  Object.defineProperty(this, 'body', { configurable: true, get: () => standIn.body });
  Object.defineProperty(this, 'bodyUsed', { configurable: true, get: () => standIn.bodyUsed });
  for (const method of BODY_METHODS) {
    if (typeof standIn[method] !== 'function') continue;
    Object.defineProperty(this, method, { configurable: true, value: () => standIn[method]() });
  }
  return new Response(cloned, init);
}

/** What the engine must be given in place of a response that was cloned; the response itself where it was not. */
export function sendable(response: Response): Response {
  const standIn = standIns.get(response);
  if (standIn === undefined) return response;
  const { status, statusText, headers } = response;
  return new Response(standIn.body, { status, statusText, headers });
}
