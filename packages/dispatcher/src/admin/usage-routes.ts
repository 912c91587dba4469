import type { FastifyInstance } from 'fastify';
import type { Usage, UsageFilter } from '../accounting/usage.ts';
import { usageCsv } from '../accounting/usage-csv.ts';

const DAY = '^\\d{4}-\\d{2}-\\d{2}$';
const QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    function: { type: 'string', maxLength: 255 },
    from: { type: 'string', pattern: DAY },
    to: { type: 'string', pattern: DAY },
  },
} as const;

type Query = { function?: string; from?: string; to?: string };

/** Adds `/usage` (JSON) and `/usage.csv`: what functions have used, by day, function and outcome. */
export function addUsageRoutes(server: FastifyInstance, read: (filter: UsageFilter) => Promise<Usage[]>): void {
  const find = (query: Query): Promise<Usage[]> =>
    read({
      ...(query.function === undefined ? {} : { functionName: query.function }),
      ...(query.from === undefined ? {} : { fromDay: query.from }),
      ...(query.to === undefined ? {} : { toDay: query.to }),
    });
  server.get<{ Querystring: Query }>('/usage', { schema: { querystring: QUERY } }, async (request) => ({
    usage: await find(request.query),
  }));
  server.get<{ Querystring: Query }>('/usage.csv', { schema: { querystring: QUERY } }, async (request, reply) => {
    reply.type('text/csv; charset=utf-8');
    return usageCsv(await find(request.query));
  });
}
