/** Types for the parts of an OpenAPI document that the service reads or writes. */
/** The fields of JSON Schema and OpenAPI in use here. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  enum?: unknown[];
  example?: unknown;
  default?: unknown;
  items?: Schema;
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
  pattern?: string;
}
export interface Parameter extends Pick<Schema, 'description' | 'example'> {
  name: string;
  in: 'query' | 'path' | 'header';
  required?: boolean;
  schema: Schema;
}
export type Content = Record<string, { schema?: Schema; example?: unknown }>;
export interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  security?: object[];
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Content };
  responses: Record<string, { description: string; content?: Content }>;
}
export interface Document {
  openapi: string;
  info: { title: string; version: string; description: string };
  servers: { url: string; description: string }[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas?: Record<string, Schema> };
}
