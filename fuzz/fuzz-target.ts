/** Something that reads what strangers write. */
export type FuzzTarget = {
  name: string;
  /** Inputs to begin with. */
  seeds: () => Buffer[];
  /** Reads an input. Throws only what {@link isRefusal} knows. */
  read: (input: Buffer) => void;
  /** Whether an error is the reader's way to say no. */
  isRefusal: (error: unknown) => boolean;
};
