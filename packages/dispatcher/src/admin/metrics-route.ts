import type { FastifyInstance } from 'fastify';

/** Adds `GET /metrics`, in the text format of Prometheus. */
export function addMetricsRoute(server: FastifyInstance, text: () => string): void {
  server.get('/metrics', async (_request, reply) => {
    reply.type('text/plain; version=0.0.4; charset=utf-8');
    return text();
  });
}
