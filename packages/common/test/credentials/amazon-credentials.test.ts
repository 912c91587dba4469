import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAmazonCredentials } from '@playa/common/credentials/amazon-credentials';
import type { Credentials } from '@playa/common/credentials/credentials';
import { ObjectStoreError } from '@playa/common/object-store-error';
import { makeTemporaryFolder } from '../../../../test/harness/temporary-folder.ts';
import { startMetadataServer, type MetadataServer } from './metadata-server.ts';

const SECRET = 'the-very-secret';
const EXPIRATION = '2030-01-02T03:04:05Z';
const DOCUMENT = JSON.stringify({
  Version: 1,
  AccessKeyId: 'ASIA',
  SecretAccessKey: SECRET,
  SessionToken: 'the-token',
  Token: 'the-token',
  Expiration: EXPIRATION,
});
const TEMPORARY = {
  accessKeyId: 'ASIA',
  secretAccessKey: SECRET,
  sessionToken: 'the-token',
  expiresAtMs: Date.parse(EXPIRATION),
};

let home: ReturnType<typeof makeTemporaryFolder>;
let server: MetadataServer | undefined;
beforeEach(() => {
  home = makeTemporaryFolder('credentials');
  mkdirSync(join(home.path, '.aws'));
});
afterEach(async () => {
  home.remove();
  await server?.close();
  server = undefined;
});

const file = (name: string, text: string): string => {
  const path = join(home.path, name);
  writeFileSync(path, text);
  return path;
};
const get = (env: NodeJS.ProcessEnv): Promise<Credentials> => {
  const alone = { PATH: process.env['PATH'], HOME: home.path, AWS_EC2_METADATA_DISABLED: 'true', ...env };
  return createAmazonCredentials({ env: alone, timeMs: Date.now, random: Math.random }, 'eu-1').get();
};
const plain = async (env: NodeJS.ProcessEnv): Promise<object> => {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs } = await get(env);
  return JSON.parse(JSON.stringify({ accessKeyId, secretAccessKey, sessionToken, expiresAtMs })) as object;
};
const failure = async (env: NodeJS.ProcessEnv): Promise<ObjectStoreError> => {
  const error = await get(env).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ObjectStoreError);
  expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/the-very-secret|the-token/);
  return error as ObjectStoreError;
};

describe('the environment', () => {
  test('keys, with or without a token', async () => {
    const keys = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: SECRET };
    expect(await plain(keys)).toEqual({ accessKeyId: 'AKIA', secretAccessKey: SECRET });
    expect(await plain({ ...keys, AWS_SESSION_TOKEN: 't' })).toMatchObject({ sessionToken: 't' });
  });

  test('half of it is a mistake, not a reason to look elsewhere', async () => {
    file('.aws/credentials', '[default]\naws_access_key_id=x\naws_secret_access_key=y\n');
    expect((await failure({ AWS_ACCESS_KEY_ID: 'AKIA' })).message).toContain('both');
    expect((await failure({ AWS_SECRET_ACCESS_KEY: SECRET })).message).toContain('both');
  });

  test('nothing anywhere says what to set', async () => {
    expect(await failure({})).toMatchObject({ code: 'access_denied' });
    expect((await failure({})).message).toContain('AWS_ACCESS_KEY_ID');
  });
});

describe('shared profiles', () => {
  test('the default one, also with comments, spaces and indented settings of others', async () => {
    file(
      '.aws/credentials',
      `# mine\n[default]\naws_access_key_id = AKIA ; the first\ns3 =\n  aws_access_key_id = nested\nAWS_SECRET_ACCESS_KEY=${SECRET}\n[other]\naws_access_key_id=no\n`,
    );
    expect(await plain({})).toEqual({ accessKeyId: 'AKIA', secretAccessKey: SECRET });
  });

  test('one by name, of both files; the environment comes first', async () => {
    file('.aws/config', '[profile  "work"]\naws_access_key_id = from-config\naws_session_token = t\n');
    file('.aws/credentials', `[work]\r\naws_access_key_id = AKIA\r\naws_secret_access_key = ${SECRET}\r\n`);
    expect(await plain({ AWS_PROFILE: 'work' })).toEqual({
      accessKeyId: 'AKIA',
      secretAccessKey: SECRET,
      sessionToken: 't',
    });
    const keys = { AWS_ACCESS_KEY_ID: 'env', AWS_SECRET_ACCESS_KEY: 'x' };
    expect(await plain({ AWS_PROFILE: 'work', ...keys })).toMatchObject({ accessKeyId: 'env' });
  });

  test('files elsewhere', async () => {
    const path = file('mine', `[default]\naws_access_key_id = AKIA\naws_secret_access_key = ${SECRET}=#x\n`);
    expect(await plain({ AWS_SHARED_CREDENTIALS_FILE: path })).toMatchObject({ secretAccessKey: `${SECRET}=#x` });
  });

  test('mistakes are named', async () => {
    file('.aws/credentials', `[half]\naws_secret_access_key = ${SECRET}\n`);
    file('.aws/config', '[profile sso]\nsso_session = me\n[profile role]\nrole_arn = arn\nsource_profile = x\n');
    expect((await failure({ AWS_PROFILE: 'none' })).message).toContain('no shared file');
    expect((await failure({ AWS_PROFILE: 'half' })).message).toContain('only');
    for (const name of ['sso', 'role']) {
      expect((await failure({ AWS_PROFILE: name })).message).toContain(`export-credentials --profile ${name}`);
    }
    expect((await failure({ AWS_SHARED_CREDENTIALS_FILE: home.path })).message).toContain('EISDIR');
  });
});

describe('credential_process', () => {
  const profile = (command: string): string => file('.aws/config', `[default]\ncredential_process = ${command}\n`);

  test('what it prints', async () => {
    profile(`cat '${file('with space', DOCUMENT)}'`);
    expect(await plain({})).toEqual(TEMPORARY);
  });

  test.each([
    ['fails', `echo '${DOCUMENT}'; exit 3`],
    ['prints no JSON', `echo ${SECRET}`],
    ['prints something else', `echo '{"SecretAccessKey":"${SECRET}"}'`],
    ['gives no known time', `echo '{"AccessKeyId":"a","SecretAccessKey":"${SECRET}","Expiration":"soon"}'`],
    ['is not there', 'no-such-command-anywhere'],
    ['prints without end', 'yes'],
  ])('that %s is an error without what it printed', async (_how, command) => {
    profile(command);
    expect((await failure({})).message).toContain('credential_process');
  });
});

describe('web identity', () => {
  const ANSWER = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
    <Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>${SECRET}</SecretAccessKey><SessionToken>the-token</SessionToken>
    <Expiration>${EXPIRATION}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
  const env = (): NodeJS.ProcessEnv => ({
    AWS_WEB_IDENTITY_TOKEN_FILE: file('token', 'a.b+c/d=\n'),
    AWS_ROLE_ARN: 'arn:aws:iam::1:role/r',
    AWS_ENDPOINT_URL_STS: server!.url,
  });

  test('a token is exchanged for credentials', async () => {
    server = await startMetadataServer(() => ({ body: ANSWER }));
    expect(await plain(env())).toEqual(TEMPORARY);
    expect(server.asked).toMatchObject([
      {
        method: 'POST',
        body: 'Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=playa&WebIdentityToken=a.b%2Bc%2Fd%3D',
      },
    ]);
    expect(server.asked[0]!.headers).not.toHaveProperty('authorization');
  });

  test('also from a profile', async () => {
    server = await startMetadataServer(() => ({ body: ANSWER }));
    const { AWS_WEB_IDENTITY_TOKEN_FILE: token, ...rest } = env();
    file('.aws/config', `[default]\nweb_identity_token_file=${token}\nrole_arn=arn\nrole_session_name=me\n`);
    expect(await plain({ AWS_ENDPOINT_URL_STS: rest['AWS_ENDPOINT_URL_STS'] })).toEqual(TEMPORARY);
    expect(server.asked[0]!.body).toContain('RoleSessionName=me');
  });

  test('a refusal is named, without the token', async () => {
    server = await startMetadataServer(() => ({
      status: 400,
      body: '<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>a.b+c/d= the-token</Message></Error></ErrorResponse>',
    }));
    expect((await failure(env())).message).toContain('ExpiredTokenException');
    await server.close();
    expect(await failure(env())).toMatchObject({ code: 'unavailable' });
  });
});

describe('the container endpoint', () => {
  test('with a token from a file', async () => {
    server = await startMetadataServer(() => ({ body: DOCUMENT }));
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/v1/credentials?x=y`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'not this one',
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file('token', 'pod-token\n'),
    };
    expect(await plain(env)).toEqual(TEMPORARY);
    expect(server.asked).toMatchObject([{ url: '/v1/credentials?x=y', headers: { authorization: 'pod-token' } }]);
  });

  test.each(['http://example.com/x', 'http://10.0.0.1/', 'http://[2001:db8::1]/', 'ftp://127.0.0.1/', 'nonsense'])(
    'not at %s, which would get the token unencrypted',
    async (uri) => {
      expect(await failure({ AWS_CONTAINER_CREDENTIALS_FULL_URI: uri })).toMatchObject({ code: 'access_denied' });
    },
  );

  test.each([403, 500])('that answers with %d', async (status) => {
    server = await startMetadataServer(() => ({ status, body: DOCUMENT }));
    const refused = await failure({ AWS_CONTAINER_CREDENTIALS_FULL_URI: server.url });
    expect(refused.code).toBe(status === 500 ? 'unavailable' : 'access_denied');
  });
});

describe('instance metadata', () => {
  const env = (): NodeJS.ProcessEnv => ({
    AWS_EC2_METADATA_DISABLED: 'false',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: server!.url,
  });

  test('version 2: a token first, then the role, then its credentials', async () => {
    server = await startMetadataServer(({ method, url, headers }) => {
      if (method === 'PUT') return { body: 'imds-token' };
      if (headers['x-aws-ec2-metadata-token'] !== 'imds-token') return { status: 401, body: '' };
      return { body: url.endsWith('/security-credentials/') ? 'my role\n' : DOCUMENT };
    });
    expect(await plain(env())).toEqual(TEMPORARY);
    expect(server.asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'PUT /latest/api/token',
      'GET /latest/meta-data/iam/security-credentials/',
      'GET /latest/meta-data/iam/security-credentials/my%20role',
    ]);
    expect(server.asked[0]!.headers['x-aws-ec2-metadata-token-ttl-seconds']).toBe('21600');
  });

  test('without a role, or with nobody there', async () => {
    server = await startMetadataServer(({ method }) => ({ status: method === 'PUT' ? 200 : 404, body: 'x' }));
    expect((await failure(env())).message).toContain('no role');
    await server.close();
    expect((await failure(env())).message).toContain('elsewhere than in EC2');
  });

  test('that never answers is given up', async () => {
    server = await startMetadataServer(() => undefined);
    expect(await failure(env())).toMatchObject({ code: 'unavailable' });
  });
});
