/**
 * What may import what. All rules are decided from one list of files with their imports, so that they can
 * be tested on a handful of made-up ones.
 */
import { builtinModules } from "node:module";
import { posix } from "node:path";
import {
  ENGINE_PACKAGES,
  isBarrel,
  isNodeOnly,
  isTest,
  layerOf,
  LAYERS,
  NODE_PACKAGES,
} from "./layers.ts";
import type { Import } from "./read-imports.ts";

export interface SourceFile {
  /** Path from the root of the workspace, with slashes: `"nijimi/src/tensor/dtype.ts"`. */
  readonly path: string;
  readonly imports: readonly Import[];
}

export interface Package {
  /** What `#name` imports resolve to: all targets, and the one a browser gets. Paths from the workspace root. */
  readonly subpaths: Readonly<
    Record<string, { readonly all: readonly string[]; readonly browser: string }>
  >;
  /** Names of dependencies, optional and peer ones included. */
  readonly dependencies: ReadonlySet<string>;
}

const SOURCE = "nijimi/src/";
const BUILTIN: ReadonlySet<string> = new Set(builtinModules);

/** One message per broken rule, `path:line: what, and what to do`; empty when all is well. */
export function checkImports(files: readonly SourceFile[], pack: Package): string[] {
  const problems = files.flatMap((file) =>
    file.imports.flatMap((imported) =>
      (file.path.startsWith(SOURCE)
        ? checkInside(file.path, imported, pack)
        : checkOutside(file.path, imported)
      ).map((message) => `${file.path}:${imported.line}: ${message}`),
    ),
  );
  return [
    ...problems,
    ...findCycles(files, pack).map((cycle) => `import cycle: ${cycle.join(" → ")}`),
  ];
}

/** Rules for a file outside the library: it uses the public seam. Tools of the workspace may look inside. */
function checkOutside(path: string, { specifier }: Import): string[] {
  if (!specifier.startsWith(".") || path.startsWith("scripts/")) return [];
  const target = posix.join(posix.dirname(path), specifier);
  return target.startsWith(SOURCE)
    ? [`imports ${target}; outside the package import "nijimi/<folder>".`]
    : [];
}

/** Rules for a file of the library. */
function checkInside(path: string, imported: Import, pack: Package): string[] {
  if (isTest(path)) return [];
  const from = path.slice(SOURCE.length);
  const { specifier } = imported;
  const targets = resolveInside(path, specifier, pack);
  if (targets.length === 0) return checkPackage(from, specifier, pack);
  return targets.flatMap((target) =>
    target.startsWith(SOURCE)
      ? [
          ...checkLayer(from, target.slice(SOURCE.length)),
          ...checkBarrel(from, target.slice(SOURCE.length)),
          ...(specifier.startsWith("#") ? [] : checkWebSafe(from, target.slice(SOURCE.length))),
        ]
      : [`imports ${target}, which is outside nijimi/src.`],
  );
}

function checkLayer(from: string, to: string): string[] {
  if (layerOf(from) === "index") return [];
  const unknown = [layerOf(from), layerOf(to)].find(
    (layer) => !(LAYERS as readonly string[]).includes(layer),
  );
  if (unknown !== undefined)
    return [`"${unknown}" is not in the list of layers (scripts/imports/layers.ts).`];
  const [low, high] = [layerOf(to), layerOf(from)];
  const rank = (layer: string) => (LAYERS as readonly string[]).indexOf(layer);
  return rank(low) <= rank(high)
    ? []
    : [`${high}/ may not import from ${low}/, which comes after it; pass in what is needed.`];
}

function checkBarrel(from: string, to: string): string[] {
  return isBarrel(to) && !isBarrel(from)
    ? [`imports the barrel ${to}; inside the package import the file that defines it.`]
    : [];
}

function checkWebSafe(from: string, to: string): string[] {
  return isNodeOnly(to) && !isNodeOnly(from)
    ? [
        `web-safe code imports the Node-only ${to}; reach it by a "#…" entry of package.json's "imports".`,
      ]
    : [];
}

function checkPackage(from: string, specifier: string, pack: Package): string[] {
  const name = packageOf(specifier);
  const builtin = specifier.startsWith("node:") || BUILTIN.has(name);
  const problems: string[] = [];
  if (specifier.startsWith("#")) return [`"${specifier}" is not in package.json's "imports".`];
  if (name === "nijimi")
    return [`imports its own package by name; import the file that defines it.`];
  if (builtin && !specifier.startsWith("node:")) problems.push(`write "node:${specifier}".`);
  if ((builtin || NODE_PACKAGES.has(name)) && !isNodeOnly(from))
    problems.push(`web-safe code imports "${specifier}"; move it to a *.node.ts file.`);
  if (ENGINE_PACKAGES.test(name) && layerOf(from) !== "runtime")
    problems.push(`imports "${specifier}"; only runtime/ knows the engine.`);
  if (!builtin && !pack.dependencies.has(name))
    problems.push(`"${name}" is not among the dependencies in nijimi/package.json.`);
  return problems;
}

/** Files of the workspace that `specifier` may stand for; empty for packages. */
function resolveInside(path: string, specifier: string, pack: Package): readonly string[] {
  if (specifier.startsWith("#")) return pack.subpaths[specifier]?.all ?? [];
  return specifier.startsWith(".") ? [posix.join(posix.dirname(path), specifier)] : [];
}

function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

/** Cycles among imports that survive compilation, each as the paths along it, first repeated at the end. */
export function findCycles(files: readonly SourceFile[], pack: Package): string[][] {
  const edges = new Map(
    files.map(({ path, imports }) => [
      path,
      imports
        .filter(({ kind }) => kind === "static")
        .flatMap(({ specifier }) => resolveInside(path, specifier, pack)),
    ]),
  );
  const cycles: string[][] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const seen = trail.indexOf(path);
    if (seen >= 0) cycles.push([...trail.slice(seen), path]);
    if (seen >= 0 || done.has(path)) return;
    trail.push(path);
    for (const next of edges.get(path) ?? []) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of edges.keys()) visit(path);
  return cycles;
}

/** Web entries (`index.ts` barrels of web-safe folders and `#…` targets of browsers) that name a Node-only file. */
export function checkWebEntries(pack: Package): string[] {
  return Object.entries(pack.subpaths)
    .filter(([, { browser }]) => isNodeOnly(browser.slice(SOURCE.length)))
    .map(
      ([name, { browser }]) => `package.json: "${name}" gives browsers the Node-only ${browser}.`,
    );
}
