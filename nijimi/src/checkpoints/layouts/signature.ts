/**
 * Recognising a layout by its names. A signature lists names that must be there and names that must not;
 * `#` stands for any whole number, so that one name speaks for a family of them.
 */
import type { Entries } from "../checkpoint.ts";

/** See the file's header. */
export interface Signature {
  /** All of these are there. */
  readonly all: readonly string[];
  /** At least one of these is there, where any are given. */
  readonly any?: readonly string[];
  /** None of these is there. */
  readonly none?: readonly string[];
}

/** The names of a file, prepared for many signatures. */
export interface NameIndex {
  has(pattern: string): boolean;
  /** Whether some name lies below the path. */
  hasBelow(path: string): boolean;
}

/** Prepares the names of a state dict. */
export function indexNames(entries: Entries): NameIndex {
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const name of Object.keys(entries))
    for (const form of [name, name.replace(/\d+/g, "#")]) {
      names.add(form);
      for (let end = form.lastIndexOf("."); end > 0; end = form.lastIndexOf(".", end - 1)) {
        const path = form.slice(0, end);
        if (paths.has(path)) break;
        paths.add(path);
      }
    }
  return { has: (pattern) => names.has(pattern), hasBelow: (path) => paths.has(path) };
}

/** Whether a file has what a signature asks for. A pattern that ends in `.*` stands for anything below a path. */
export function matches({ all, any, none }: Signature, names: NameIndex): boolean {
  const has = (pattern: string) =>
    pattern.endsWith(".*") ? names.hasBelow(pattern.slice(0, -2)) : names.has(pattern);
  return all.every(has) && (any === undefined || any.some(has)) && !none?.some(has);
}
