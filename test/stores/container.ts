import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { GATEWAY_KEYS, GATEWAY_PROGRAM, GATEWAY_REGION, gatewayMissing } from './versitygw.ts';

const PORT = 7070;
const NOBODY = '65534:65534';

/** A running gateway in a container. */
export type Container = { url: string; stop: () => Promise<void> };

/** Why no container can be started here; undefined where one can. */
export async function containerMissing(): Promise<string | undefined> {
  const missing = gatewayMissing();
  if (missing !== undefined) return missing;
  try {
    const client = await getContainerRuntimeClient();
    await client.container.dockerode.ping();
  } catch (error) {
    return `no Docker engine answers: ${(error as Error).message.split('\n')[0]}`;
  }
  return undefined;
}

/**
 * Starts versitygw in a container of its own, on a port that the engine chooses. Nothing is pulled, as tests fetch nothing while they run: the image is made from
 * scratch, of the program that set-up has built and an empty bucket.
 */
export async function startContainer(bucket: string): Promise<Container> {
  // Its reaper is an image that would have to be pulled. What is started here is stopped here.
  process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
  const context = makeTemporaryFolder('container');
  mkdirSync(join(context.path, 'data', bucket), { recursive: true });
  copyFileSync(GATEWAY_PROGRAM, join(context.path, 'versitygw'));
  writeFileSync(
    join(context.path, 'Dockerfile'),
    `FROM scratch\nCOPY versitygw /versitygw\nCOPY --chown=${NOBODY} data /data\nUSER ${NOBODY}\nENTRYPOINT ["/versitygw"]\n`,
  );
  const image = `playa-test-versitygw:${process.pid}`;
  const removeImage = async (): Promise<void> => {
    const { dockerode } = (await getContainerRuntimeClient()).container;
    await dockerode.getImage(image).remove({ force: true });
  };
  try {
    const built = await GenericContainer.fromDockerfile(context.path).build(image, { deleteOnExit: false });
    const container = await built
      .withEnvironment({
        ROOT_ACCESS_KEY: GATEWAY_KEYS.accessKeyId,
        ROOT_SECRET_KEY: GATEWAY_KEYS.secretAccessKey,
      })
      .withCommand(['--port', `:${PORT}`, '--region', GATEWAY_REGION, '--quiet', 'posix', '/data'])
      .withExposedPorts(PORT)
      // There is no shell in it, with which a port could be looked at from within. What it answers to nobody in particular does not matter.
      .withWaitStrategy(Wait.forHttp('/', PORT).forStatusCodeMatching(() => true))
      .start();
    return {
      url: `http://${container.getHost()}:${container.getMappedPort(PORT)}`,
      stop: async () => {
        await container.stop();
        await removeImage();
      },
    };
  } catch (error) {
    // Why it did not start says more than what is left of it.
    await removeImage().catch(() => undefined);
    throw error;
  } finally {
    context.remove();
  }
}
