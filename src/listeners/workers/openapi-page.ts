/** Renders the OpenAPI document as one HTML page, without scripts and without resources of other hosts. */
import { createHash } from 'node:crypto';
import type { Content, Document, Operation, Schema } from './openapi-document.ts';

const STYLE = `
:root{color-scheme:light dark;--line:light-dark(#d5d9e0,#3a404b);--dim:light-dark(#5a6472,#9aa5b4);--box:light-dark(#f5f6f8,#20242b)}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
h3{font:600 1rem/1.5 ui-monospace,monospace;margin:2rem 0 0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line)}
code,pre{font-family:ui-monospace,monospace;font-size:.875rem}
pre{background:var(--box);padding:.75rem;overflow-x:auto}
.dim{color:var(--dim)}
`;
const CSP = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function docsPage(document: Document): { html: string; csp: string } {
  const { info, tags, components } = document;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const schemas = components.schemas ?? {};
  const body = html`<h1>${info.title}</h1>
<p>${info.description}</p>
<p>The document itself, for generators: <a href="openapi.json">openapi.json</a>, version ${info.version}.</p>
<nav aria-label="Operations"><ul>${operations.map(
    ({ path, method, operation }) =>
      html`<li><a href="#${operation.operationId}"><code>${method} ${path}</code></a> <span class="dim">${operation.summary}</span></li>`,
  )}</ul></nav>
${tags.map(
  ({ name, description }) => html`<h2>${name}</h2>
<p>${description}</p>
${operations
  .filter(({ operation }) => operation.tags.includes(name))
  .map(
    ({ path, method, operation }) => html`<section>
<h3 id="${operation.operationId}">${method} ${path}</h3>
<p>${operation.summary}</p>${operation.description === undefined ? '' : html`<p>${operation.description}</p>`}
${parametersOf(operation, schemas)}${responsesOf(operation, schemas)}
</section>`,
  )}`,
)}`;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${info.title}</title><style>${new Html(STYLE)}</style></head>
<body><main>${body}</main></body></html>
`;
  return { html: page.text, csp: CSP };
}

function parametersOf({ parameters = [], requestBody }: Operation, schemas: Record<string, Schema>): Html {
  const body = resolve(schemaOf(requestBody?.content), schemas);
  const fields = Object.entries(body?.properties ?? {}).map(([name, schema]) => ({
    name,
    where: 'body',
    required: body?.required?.includes(name) === true,
    schema,
    description: schema.description,
  }));
  const all = [
    ...parameters.map(({ name, in: where, required, schema, description }) => ({
      name,
      where,
      required: required === true,
      schema,
      description: description ?? schema.description,
    })),
    ...fields,
  ];
  if (all.length === 0) return html``;
  return html`<table><thead><tr><th>parameter</th><th>in</th><th>type</th><th>meaning</th></tr></thead><tbody>${all.map(
    ({ name, where, required, schema, description = '' }) =>
      html`<tr><td><code>${name}</code>${required ? ' (required)' : ''}</td><td>${where}</td><td>${typeOf(schema)}</td><td>${description}</td></tr>`,
  )}</tbody></table>${exampleOf(requestBody?.content)}`;
}

function responsesOf({ responses }: Operation, schemas: Record<string, Schema>): Html {
  const entries = Object.entries(responses);
  return html`<table><thead><tr><th>answer</th><th>meaning</th><th>fields</th></tr></thead><tbody>${entries.map(
    ([status, { description, content }]) =>
      html`<tr><td>${status}</td><td>${description}</td><td>${Object.entries(content ?? {}).map(
        ([type, { schema }]) => html`<span class="dim">${type}</span> ${fieldNames(resolve(schema, schemas))}`,
      )}</td></tr>`,
  )}</tbody></table>${entries.map(([, { content }]) => exampleOf(content))}`;
}

function fieldNames(schema: Schema | undefined): Html {
  const names = Object.keys(schema?.properties ?? {});
  return names.length === 0 ? html`` : html`<code>${names.join(', ')}</code>`;
}

function exampleOf(content: Content | undefined): Html {
  const example = Object.values(content ?? {})[0]?.example;
  return example === undefined ? html`` : html`<pre>${JSON.stringify(example, null, 2)}</pre>`;
}

function schemaOf(content: Content | undefined): Schema | undefined {
  return Object.values(content ?? {})[0]?.schema;
}

function resolve(schema: Schema | undefined, schemas: Record<string, Schema>): Schema | undefined {
  return schema?.$ref === undefined ? schema : schemas[schema.$ref.split('/').at(-1) ?? ''];
}

function typeOf(schema: Schema): string {
  const type = schema.enum?.join(' | ') ?? [schema.type ?? 'any'].flat().join(' | ');
  const range = schema.minimum === undefined ? '' : ` ${schema.minimum}–${schema.maximum}`;
  return `${type}${range}${schema.default === undefined ? '' : `, default ${String(schema.default)}`}`;
}

/** Text that is HTML already. All other text is escaped when it is inserted. */
class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Piece = string | number | Html | readonly Html[];

function html(strings: TemplateStringsArray, ...pieces: Piece[]): Html {
  return new Html(strings.reduce((text, string, at) => text + textOf(pieces[at - 1] ?? '') + string));
}

function textOf(piece: Piece): string {
  if (piece instanceof Html) return piece.text;
  if (typeof piece === 'object') return piece.map(({ text }) => text).join('');
  const names: Record<string, string> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": '#39' };
  return String(piece).replace(/[&<>"']/g, (character) => `&${names[character]};`);
}
