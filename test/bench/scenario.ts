/** A scenario, and the figure of repeated measurements: the median with the range. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RedisServer, startRedis } from '../support/redis.ts';
import type { Measured } from './processes.ts';

export interface Figure {
  /** What was measured, such as `redis, 64 connections`. */
  what: string;
  unit: string;
  median: number;
  least: number;
  most: number;
  /** The comparison in the same round, with its ratio. */
  against?: { what: string; ratio: Spread };
  /** The goal of the design, and whether it was met. */
  goal?: { text: string; met: boolean };
}

export interface Spread {
  median: number;
  least: number;
  most: number;
}

export interface Plot {
  title: string;
  unit: string;
  groups: string[];
  series: { name: string; values: (Spread | undefined)[] }[];
}

export interface Report {
  figures: Figure[];
  plots?: { file: string; plot: Plot }[];
  notes?: string[];
}

export interface Scenario {
  name: string;
  title: string;
  run(bench: Bench): Promise<Report>;
}

/** The tools of a scenario. Everything that it starts stops at its end. */
export class Bench {
  readonly quick: boolean;
  readonly #tell: (line: string) => void;
  readonly #closing: (() => Promise<unknown>)[] = [];

  constructor(quick: boolean, tell: (line: string) => void) {
    this.quick = quick;
    this.#tell = tell;
  }

  tell(line: string): void {
    this.#tell(line);
  }

  /** One number for the whole run, another for a quick one. */
  pick<T>(whole: T, quick: T): T {
    return this.quick ? quick : whole;
  }

  async started<T extends Measured>(starting: Promise<T>): Promise<T> {
    const started = await starting;
    this.#closing.push(() => started.stop());
    return started;
  }

  /** A real Redis that syncs its append-only file each second, as its makers recommend. */
  async redis(): Promise<RedisServer> {
    const redis = await startRedis();
    this.#closing.push(() => redis.stop());
    return redis;
  }

  async folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'bench-'));
    this.#closing.push(() => rm(path, { recursive: true, force: true, maxRetries: 5 }));
    return path;
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
  }
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
  return { median, least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0 };
}

/** The ratio of two measurements of the same rounds. */
export function ratio(values: readonly number[], to: readonly number[]): Spread {
  return spread(values.map((value, i) => value / (to[i] ?? Number.NaN)));
}
