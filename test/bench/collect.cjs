// Loaded into the service when its memory is measured: collects garbage when told to, so that what is left is in use.
process.on('SIGUSR2', () => {
  globalThis.gc();
  globalThis.gc();
});
