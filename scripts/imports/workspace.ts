/** Reads what {@link checkImports} judges from a checkout. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix, sep } from "node:path";
import type { Package, SourceFile } from "./check.ts";
import { readImports } from "./read-imports.ts";

/** Folders with TypeScript of ours. */
const FOLDERS = [
  "nijimi/src",
  "conformance",
  "bench",
  "package-tests",
  "examples",
  "scripts",
  "studio",
];

/** All TypeScript files of the workspace at `root`, with their imports. */
export function readSourceFiles(root: string): SourceFile[] {
  return FOLDERS.filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((path) =>
        posix.join(folder, path.split(sep).join("/")),
      ),
    )
    .filter((path) => /\.tsx?$/.test(path) && !/(^|\/)(node_modules|dist|cases)\//.test(path))
    .sort()
    .map((path) => ({ path, imports: readImports(path, readFileSync(join(root, path), "utf8")) }));
}

type Target = string | { readonly [condition: string]: Target };

/** What matters of `nijimi/package.json`. */
export function readPackage(root: string): Package {
  const json = JSON.parse(readFileSync(join(root, "nijimi/package.json"), "utf8")) as {
    imports?: Record<string, Target>;
    dependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
    peerDependencies?: Record<string, string>;
  };
  const subpaths = Object.entries(json.imports ?? {}).map(([name, target]) => [
    name,
    {
      all: leaves(pick(target, ["@nijimi/source"]) ?? target).map(fromRoot),
      browser: fromRoot(leaves(pick(target, ["@nijimi/source", "browser"]) ?? target)[0]),
    },
  ]);
  return {
    subpaths: Object.fromEntries(subpaths) as Package["subpaths"],
    dependencies: new Set(
      [json.dependencies, json.optionalDependencies, json.peerDependencies].flatMap((group) =>
        Object.keys(group ?? {}),
      ),
    ),
  };
}

/** Follows `conditions` into a conditional target, each where it is present. */
function pick(target: Target, conditions: readonly string[]): Target | undefined {
  if (typeof target === "string" || conditions.length === 0) return target;
  const [first, ...rest] = conditions;
  return first in target ? pick(target[first], rest) : pick(target, rest);
}

function leaves(target: Target): string[] {
  return typeof target === "string" ? [target] : Object.values(target).flatMap(leaves);
}

function fromRoot(path: string): string {
  return posix.join("nijimi", path);
}
