import type { FastifyInstance } from 'fastify';

/** One thing that must hold for the server to be ready. */
export type ReadinessCheck = { name: string; ok: boolean; detail?: string };

/** Adds `/healthz`, which answers as long as the process does, and `/readyz`, which says whether it should be given requests. */
export function addHealthRoutes(server: FastifyInstance, readiness: () => Promise<ReadinessCheck[]>): void {
  server.get('/healthz', async () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    const checks = await readiness();
    const ready = checks.every((check) => check.ok);
    reply.code(ready ? 200 : 503);
    return { status: ready ? 'ready' : 'not ready', checks };
  });
}
