import type { ExportedHandler } from '@playa/types';

type Env = { NAME?: string };

export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    return new Response(`Hello, ${env.NAME ?? 'world'}! You asked for ${pathname}\n`);
  },
} satisfies ExportedHandler<Env>;
