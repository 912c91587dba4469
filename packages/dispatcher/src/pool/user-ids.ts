/** Hands out a user id of its own to each sandbox. */
export type UserIds = { take: () => number | undefined; giveBack: (uid: number | undefined) => void };

/** How many sandboxes can live at once with an id of their own. */
const RANGE = 50_000;

/**
 * Ids from `firstUid` on where the dispatcher runs as root and so may choose; none elsewhere: then bubblewrap runs as the dispatcher's own user.
 * An id is used again only after its sandbox is gone.
 */
export function createUserIds(firstUid: number, isRoot: boolean): UserIds {
  const free: number[] = [];
  let next = firstUid;
  return {
    take: () => {
      if (!isRoot) return undefined;
      const uid = free.pop() ?? next++;
      if (uid >= firstUid + RANGE) throw new Error(`all ${RANGE} user ids for sandboxes are in use`);
      return uid;
    },
    giveBack: (uid) => {
      if (uid !== undefined) free.push(uid);
    },
  };
}
