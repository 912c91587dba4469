import { defaultObjectStoreDeps, openObjectStore } from '@playa/common/object-stores/open-object-store';

// A program of its own, as Node reads NODE_EXTRA_CA_CERTS only when it starts: writes an object of the bucket it is given, and prints it.
const store = await openObjectStore(process.argv[2]!, defaultObjectStoreDeps());
await store.put('over tls', Buffer.from('content'));
const content = await store.get('over tls');
if (content === undefined || content === 'not_modified') throw new Error('not there');
for await (const chunk of content.body) process.stdout.write(chunk);
await store.close();
