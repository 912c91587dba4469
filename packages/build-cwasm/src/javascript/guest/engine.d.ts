// What the JavaScript engine of a component has beyond the globals that Node's types declare.

declare module 'wasi:cli/environment@0.2.10' {
  export function getEnvironment(): [name: string, value: string][];
}
