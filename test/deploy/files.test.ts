/**
 * The deployment files, checked against the schemas of their tools and the promises of the service.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { VARIABLE_NAMES } from '../../src/config/config.ts';

const PROJECT = new URL('../../', import.meta.url).pathname;
const run = promisify(execFile);
const read = (file: string): Promise<string> => readFile(join(PROJECT, file), 'utf8');

interface Service {
  image: string;
  ports?: string[];
  profiles?: string[];
  volumes?: string[];
  environment?: Record<string, string>;
  read_only?: boolean;
}

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: Record<string, unknown>;
}

describe('the compose file', async () => {
  const { services } = parse(await read('docker-compose.yml'), { merge: true }) as {
    services: Record<string, Service>;
  };

  test('is valid for dclint', async () => {
    const dclint = join(PROJECT, 'node_modules/.bin/dclint');
    await run(dclint, ['-c', 'test/deploy/dclint.yaml', '--max-warnings', '0', 'docker-compose.yml'], { cwd: PROJECT });
  });

  test('has the service and Redis without a profile', () => {
    const always = Object.keys(services).filter((name) => services[name]?.profiles === undefined);
    expect(always).toEqual(['carat-authenticity', 'redis']);
  });

  test('keeps Redis inside, and every worker port on the loopback address', () => {
    expect(services['redis']?.ports).toBeUndefined();
    const published = Object.values(services).flatMap(({ ports = [] }) => ports);
    const open = published.filter((port) => !port.startsWith('127.0.0.1:'));
    expect(open).toEqual(['8080:8080', '8082:8080']);
  });

  test('gives each instance its own DATA_DIR and a read-only root file system', () => {
    const instances = Object.values(services).filter(({ environment }) => environment?.['STORE_URL'] !== undefined);
    expect(instances).toHaveLength(3);
    const volumes = instances.flatMap(({ volumes }) => volumes ?? []);
    expect(new Set(volumes).size).toBe(3);
    expect(instances.every((instance) => instance.read_only)).toBe(true);
    const variables = instances.flatMap(({ environment }) => Object.keys(environment ?? {}));
    expect(VARIABLE_NAMES).toEqual(expect.arrayContaining(variables));
  });
});

describe('the Kubernetes manifests', async () => {
  const files = (await readdir(join(PROJECT, 'deploy/kubernetes'))).filter((file) => file !== 'kustomization.yaml');
  const texts = await Promise.all(files.map((file) => read(`deploy/kubernetes/${file}`)));
  const manifests = texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest));

  test.each(manifests.map((manifest) => [manifest.kind, manifest.metadata.name, manifest] as const))(
    '%s %s has the schema of its kind',
    async (_kind, _name, manifest) => {
      await validate(manifest);
      await expect(validate({ ...manifest, metadata: { ...manifest.metadata, name: 1 as never } })).rejects.toThrow();
    },
  );

  test('are in a kustomization that names each file except the template of the secret', async () => {
    const { kind, resources } = parse(await read('deploy/kubernetes/kustomization.yaml')) as Record<string, unknown>;
    expect(kind).toBe('Kustomization');
    expect(resources).toEqual(files.filter((file) => file !== 'secret.yaml'));
  });

  test('give each of two instances a volume, no privileges, and a read-only file system', () => {
    const text = JSON.stringify(manifests.find(({ kind }) => kind === 'StatefulSet')?.spec);
    expect(text).toContain('"replicas":2');
    expect(text).toContain('"volumeClaimTemplates":[{"metadata":{"name":"data"}');
    expect(text).toContain('"runAsNonRoot":true');
    expect(text).toContain('"readOnlyRootFilesystem":true');
    expect(text).toContain('"drop":["ALL"]');
  });
});

test("the image runs without root and has the project's version, and its build context has no secret", async () => {
  const { version } = JSON.parse(await read('package.json')) as { version: string };
  expect(await read('Dockerfile')).toContain(`\nARG VERSION=${version}\n`);
  expect(await read('Dockerfile')).toMatch(/^USER 1000:1000$/m);
  expect((await read('.dockerignore')).split('\n')[0]).toBe('*');
});

type Model = new (data: Manifest) => { validate(): void };

async function validate(manifest: Manifest): Promise<void> {
  const module = `kubernetes-models/${manifest.apiVersion}/${manifest.kind}`;
  const { [manifest.kind]: Kind } = (await import(/* @vite-ignore */ module)) as Record<string, Model>;
  if (Kind === undefined) throw new Error(`expected a schema of ${manifest.kind}`);
  new Kind(manifest).validate();
}
