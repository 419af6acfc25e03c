/** node:http that reads the form and answers OK, keeping nothing. */
import { createServer } from 'node:http';

createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (chunk: string) => {
    body += chunk;
  });
  request.on('end', () => {
    new URLSearchParams(body).get('seid');
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 2 }).end('OK');
  });
}).listen(Number(process.env['PORT']), '127.0.0.1');
