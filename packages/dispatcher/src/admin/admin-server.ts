import { createHash, timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyInstance } from 'fastify';

/**
 * The listener for operators, apart from the one for callers. Every request needs `authorization: Bearer TOKEN`; routes are added by
 * those whose they are.
 */
export function createAdminServer(token: string): FastifyInstance {
  const expected = digest(`Bearer ${token}`);
  const server = Fastify({
    logger: false,
    bodyLimit: 64 * 1024,
    forceCloseConnections: true,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  server.addHook('onRequest', async (request, reply) => {
    // Of equal length, so that the comparison can take the same time whatever was sent.
    if (timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) return;
    await reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'the admin token is missing or wrong' });
  });
  return server;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
