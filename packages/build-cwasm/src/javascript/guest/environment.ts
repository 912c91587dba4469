// The environment as an object that is read when it is first looked at: most functions never do, and asking the host for
// it costs a tenth of a small function's whole work.

/** Environment variables by their names. */
export type Environment = Record<string, string>;

/**
 * An object with the environment's variables.
 *
 * @param read gives name and value of each, or undefined as long as there is no environment; not called again after it gave some
 */
export function createEnvironment(read: () => [string, string][] | undefined): Environment {
  let filled = false;
  function fill(variables: Environment): Environment {
    if (filled) return variables;
    const list = read();
    if (list === undefined) return variables;
    filled = true;
    // By index: a loop over an iterator is several times as dear here as all the rest.
    for (let index = 0; index < list.length; index += 1) {
      const variable = list[index]!;
      variables[variable[0]] = variable[1];
    }
    return variables;
  }
  return new Proxy<Environment>(
    {},
    {
      get: (variables, name) => Reflect.get(fill(variables), name),
      has: (variables, name) => Reflect.has(fill(variables), name),
      ownKeys: (variables) => Reflect.ownKeys(fill(variables)),
      getOwnPropertyDescriptor: (variables, name) => Reflect.getOwnPropertyDescriptor(fill(variables), name),
      set: (variables, name, value) => Reflect.set(fill(variables), name, value),
      defineProperty: (variables, name, descriptor) => Reflect.defineProperty(fill(variables), name, descriptor),
      deleteProperty: (variables, name) => Reflect.deleteProperty(fill(variables), name),
    },
  );
}
