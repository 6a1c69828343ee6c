/** What is fuzzed: a parser, inputs to start from, and its share of all inputs. */
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Material } from "./mutate.ts";
import type { Random } from "./random.ts";

export interface Target {
  readonly name: string;
  /** Inputs it gets, relative to other targets. */
  readonly share: number;
  /** Seeds and words. Asked for once in each child process. */
  material(): Promise<Material>;
  /** Turns the mutated bytes into what is parsed, for instance with checksums made right again. @default unchanged */
  repair?(bytes: Uint8Array, random: Random): Uint8Array;
  /** Parses. Errors of the library's family are what damaged input should give. */
  run(bytes: Uint8Array, random: Random): Promise<void>;
}

const CASES = path.join(import.meta.dirname, "../../conformance/cases");

/** Committed conformance files as seeds. */
export function caseFiles(...names: readonly string[]): Uint8Array[] {
  return names.map((name) => new Uint8Array(readFileSync(path.join(CASES, name))));
}

/** Words of a dictionary. Characters up to U+00FF are bytes. */
export function words(...texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => new Uint8Array(Buffer.from(text, "latin1")));
}
