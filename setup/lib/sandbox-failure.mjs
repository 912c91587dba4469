/**
 * What is known when bubblewrap could not make a sandbox.
 * @typedef {object} SandboxEvidence
 * @property {string} message what bubblewrap printed
 * @property {string | undefined} spawnError code of the system's error when bubblewrap could not even be started
 * @property {(name: string) => string | undefined} readSetting a kernel setting by its path below /proc/sys; undefined where there is none
 * @property {boolean} hasUserNamespaces whether the kernel was built with user namespaces
 * @property {boolean} isContainer whether this looks like the inside of a container
 * @property {boolean} isRoot
 * @property {number} uid the user id that the sandbox was to run under, as root
 */

/**
 * Why sandboxes cannot start, and how to allow them.
 * @typedef {object} SandboxExplanation
 * @property {string} cause without a full stop
 * @property {string} remedy
 */

/** Kinds of namespaces a sandbox has its own of; each has a maximum in `user/max_<kind>_namespaces`. */
const NAMESPACES = ['user', 'pid', 'mnt', 'net', 'ipc', 'uts', 'cgroup'];

const CONTAINER_REMEDY = `allow the container to make sandboxes, best as an unprivileged user:
docker run --user 1000 --security-opt seccomp=unconfined … (where AppArmor is on, also --security-opt apparmor=unconfined)
or, instead of unconfined, Docker's own profile with clone, mount, umount2 and pivot_root allowed`;

/**
 * Finds the setting that keeps sandboxes from starting.
 * @param {SandboxEvidence} evidence
 * @returns {SandboxExplanation}
 */
export function explainSandboxFailure(evidence) {
  const { message, spawnError, readSetting, hasUserNamespaces, isContainer, isRoot, uid } = evidence;
  const sudo = isRoot ? '' : 'sudo ';
  const allow = (/** @type {string} */ setting) =>
    `${sudo}sysctl -w ${setting}\nto keep it over a restart: echo ${setting} | ${sudo}tee /etc/sysctl.d/60-playa.conf`;

  if (spawnError === 'EINVAL') {
    return {
      cause: `there is no user id ${uid} here, as in a container that was given only some`,
      remedy: 'choose the first of 50,000 user ids that are there: PLAYA_FIRST_SANDBOX_UID=10000 npm start',
    };
  }
  if (!hasUserNamespaces) {
    return { cause: 'this kernel was built without user namespaces', remedy: 'boot a kernel with CONFIG_USER_NS' };
  }
  if (readSetting('kernel/unprivileged_userns_clone') === '0') {
    return {
      cause: 'kernel.unprivileged_userns_clone is 0, which forbids user namespaces to ordinary users',
      remedy: allow('kernel.unprivileged_userns_clone=1'),
    };
  }
  const spent = NAMESPACES.filter((kind) => readSetting(`user/max_${kind}_namespaces`) === '0').map(
    (kind) => `user.max_${kind}_namespaces`,
  );
  if (spent.length > 0) {
    return { cause: `${spent.join(' and ')} is 0`, remedy: spent.map((name) => allow(`${name}=15000`)).join('\n') };
  }
  if (message.includes('ENOSPC')) {
    return {
      cause: 'the maximum number of namespaces is reached',
      remedy: `look at ${sudo}sysctl user | grep namespaces, and raise the one that is in use up`,
    };
  }
  if (readSetting('kernel/apparmor_restrict_unprivileged_userns') === '1' && /denied|not permitted/i.test(message)) {
    return {
      cause: 'AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)',
      remedy: appArmorRemedy(sudo),
    };
  }
  if (spawnError === 'EAGAIN' || message.includes('Resource temporarily unavailable')) {
    return {
      cause: 'this user may not start more processes',
      remedy: 'raise the limit that ulimit -u shows, or end some processes',
    };
  }
  if (isContainer) {
    return { cause: "the container's engine forbids making namespaces or mounts", remedy: CONTAINER_REMEDY };
  }
  return {
    cause: 'bubblewrap failed, and no setting known to forbid it does',
    remedy: `see what bubblewrap says above. Inside a container:
${CONTAINER_REMEDY}`,
  };
}

/**
 * @param {string} sudo
 */
function appArmorRemedy(sudo) {
  return `allow them to bubblewrap alone: write /etc/apparmor.d/bwrap with these lines
  abi <abi/4.0>,
  include <tunables/global>
  profile bwrap /usr/bin/bwrap flags=(unconfined) {
    userns,
  }
and load it: ${sudo}apparmor_parser -r /etc/apparmor.d/bwrap
or allow them to all programs: ${sudo}sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`;
}
