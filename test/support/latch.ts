export interface Latch<T> {
  /** Resolves when the latch is opened, with what it was opened with. */
  opened: Promise<T>;
  open: (value: T) => void;
}

/** Something that a test waits for, and decides when it happens. */
export function latch<T = void>(): Latch<T> {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
