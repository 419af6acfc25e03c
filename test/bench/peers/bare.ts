/**
 * Fastify and its form parser, which answer OK and store nothing: the basic cost of any service on
 * Fastify.
 */
import formbody from '@fastify/formbody';
import fastify from 'fastify';

const app = fastify();
await app.register(formbody);
app.post('/authenticity', (_request, reply) => {
  reply.type('text/plain').send('OK');
});
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
