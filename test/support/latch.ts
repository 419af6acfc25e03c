export interface Latch<T> {
  /** Resolves when the latch opens, with its value. */
  opened: Promise<T>;
  open: (value: T) => void;
}

/** An event whose time the test decides. */
export function latch<T = void>(): Latch<T> {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
