import { describe, expect, test } from 'vitest';
import type { SandboxEvidence } from '../../setup/lib/sandbox-failure.mjs';
import { explainSandboxFailure } from '../../setup/lib/sandbox-failure.mjs';

const DENIED = 'bwrap: Creating new namespace failed: Operation not permitted';

function explain(
  message: string,
  settings: Record<string, string> = {},
  more: Partial<SandboxEvidence> = {},
): { cause: string; remedy: string } {
  return explainSandboxFailure({
    message,
    spawnError: undefined,
    uid: 200_000,
    readSetting: (name) => settings[name],
    hasUserNamespaces: true,
    isContainer: false,
    isRoot: false,
    ...more,
  });
}

describe('explainSandboxFailure', () => {
  test.each<[string, ReturnType<typeof explain>, string, string]>([
    ['a kernel without them', explain(DENIED, {}, { hasUserNamespaces: false }), 'built without', 'CONFIG_USER_NS'],
    [
      "Debian's switch",
      explain(DENIED, { 'kernel/unprivileged_userns_clone': '0' }),
      'kernel.unprivileged_userns_clone is 0',
      'sudo sysctl -w kernel.unprivileged_userns_clone=1',
    ],
    [
      'a maximum of zero',
      explain('(ENOSPC)', { 'user/max_user_namespaces': '0', 'user/max_net_namespaces': '9' }),
      'user.max_user_namespaces is 0',
      'sudo sysctl -w user.max_user_namespaces=15000',
    ],
    [
      'another maximum of zero',
      explain('(ENOSPC)', { 'user/max_user_namespaces': '9', 'user/max_net_namespaces': '0' }),
      'user.max_net_namespaces is 0',
      'user.max_net_namespaces=15000',
    ],
    [
      'a maximum that is used up',
      explain('(ENOSPC)', { 'user/max_user_namespaces': '9' }),
      'maximum number',
      'sysctl user',
    ],
    [
      'AppArmor',
      explain('bwrap: setting up uid map: Permission denied', { 'kernel/apparmor_restrict_unprivileged_userns': '1' }),
      'kernel.apparmor_restrict_unprivileged_userns is 1',
      '/etc/apparmor.d/bwrap',
    ],
    [
      'too many processes',
      explain('bwrap: Creating new namespace failed: Resource temporarily unavailable'),
      'more processes',
      'ulimit -u',
    ],
    ['a container', explain(DENIED, {}, { isContainer: true }), 'container', '--security-opt seccomp=unconfined'],
    [
      'a user id that does not exist',
      explain('', {}, { spawnError: 'EINVAL', isRoot: true }),
      'no user id 200000',
      'PLAYA_FIRST_SANDBOX_UID=10000',
    ],
    ['anything else', explain('bwrap: something new'), 'no setting known', 'bubblewrap says above'],
  ])('%s', (_name, { cause, remedy }, expectedCause, expectedRemedy) => {
    expect(cause).toContain(expectedCause);
    expect(remedy).toContain(expectedRemedy);
  });

  test('blames the kernel setting before the container, which has it too', () => {
    expect(explain(DENIED, { 'kernel/unprivileged_userns_clone': '0' }, { isContainer: true }).cause).toContain(
      'userns_clone',
    );
  });

  test('needs no sudo as root', () => {
    expect(explain(DENIED, { 'user/max_user_namespaces': '0' }, { isRoot: true }).remedy).not.toContain('sudo');
  });
});
