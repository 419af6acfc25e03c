module.exports = {
  client: {
    input: './openapi.json',
    output: {
      target: './generated/orval/client.ts',
      client: 'fetch',
      override: { mutator: { path: './orval-request.ts', name: 'request' } },
    },
  },
  zod: { input: './openapi.json', output: { target: './generated/orval/zod.ts', client: 'zod' } },
};
