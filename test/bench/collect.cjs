// Loaded into the service for memory measurements: collects garbage on request, so that only used
// memory remains.
process.on('SIGUSR2', () => {
  globalThis.gc();
  globalThis.gc();
});
