import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { etag } from 'hono/etag';
import { HTTPException } from 'hono/http-exception';
import { streamText } from 'hono/streaming';

const app = new Hono();

app.use('/notes/*', cors());
app.use('/notes/*', etag());

app.get('/', (context) =>
  context.text('Try /notes/1, /greet/you?times=3, POST /sum with {"numbers": [1, 2]}, or /count.\n'),
);

app.get('/notes/:id{[0-9]+}', (context) => {
  const id = Number(context.req.param('id'));
  return context.json({ id, text: `This is note ${id}.` });
});

app.get('/greet/:name', (context) => {
  const times = Math.min(Number(context.req.query('times') ?? '1'), 100);
  return context.text(`Hello, ${context.req.param('name')}!\n`.repeat(times));
});

app.post('/sum', async (context) => {
  const body: { numbers?: unknown } = await context.req.json();
  const { numbers } = body;
  if (!Array.isArray(numbers) || !numbers.every((number) => typeof number === 'number')) {
    throw new HTTPException(400, { message: 'expected {"numbers": [ … ]}' });
  }
  return context.json({ sum: numbers.reduce((sum, number) => sum + number, 0) });
});

app.get('/count', (context) =>
  streamText(context, async (stream) => {
    for (let second = 1; second <= 3; second += 1) {
      await stream.writeln(String(second));
      await stream.sleep(100);
    }
  }),
);

app.onError((error, context) => {
  if (error instanceof HTTPException) return error.getResponse();
  console.error(error.stack);
  return context.text('Something went wrong.\n', 500);
});

export default app;
