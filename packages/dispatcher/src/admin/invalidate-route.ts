import type { FastifyInstance } from 'fastify';

const BODY = {
  type: 'object',
  additionalProperties: false,
  properties: { function: { type: 'string', minLength: 1, maxLength: 255 } },
} as const;

/** Adds `POST /invalidate`: the bucket has changed, so the function, or without one every function, is looked up again on its next request. */
export function addInvalidateRoute(server: FastifyInstance, invalidate: (name?: string) => void): void {
  server.post<{ Body: { function?: string } | undefined }>(
    '/invalidate',
    { schema: { body: BODY } },
    async (request, reply) => {
      invalidate(request.body?.function);
      reply.code(204);
    },
  );
}
