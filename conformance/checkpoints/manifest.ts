/**
 * A manifest of checkpoints: `files` lists folders, single files, adapters and embeddings of the same models.
 * Every one must be recognised and read whole; what a single file holds must be what a folder beside it holds,
 * tensor by tensor under our names, rounded to the file's element types.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import {
  loadAdapter,
  loadCheckpoint,
  loadTextualInversion,
  openCheckpoint,
  readAll,
  readDelta,
  type Component,
  type LoadedCheckpoint,
} from "nijimi/checkpoints";
import { cast, isFloat, toFloat64, type Tensor } from "nijimi/tensor";
import type { Case, CaseJson, Comparison } from "../case.ts";
import { compareTensors } from "../compare.ts";

/** One file or folder. */
export interface Listed {
  /** From the directory of cases; folders end in a slash. */
  readonly file: string;
  readonly what: string;
}

/** The entries of a manifest of checkpoints; none for other cases. */
export function listedFiles({ files }: CaseJson): readonly Listed[] {
  const list = Array.isArray(files) ? (files as Partial<Listed>[]) : [];
  const isManifest = list.every(
    ({ file, what }) => typeof file === "string" && typeof what === "string",
  );
  return isManifest ? (list as Listed[]) : [];
}

/** Checks all entries. */
export async function compareManifest(c: Case): Promise<Comparison[]> {
  const listed = listedFiles(c.json);
  const references = await openFolders(c, listed);
  try {
    const comparisons: Comparison[] = [];
    for (const entry of listed) comparisons.push(...(await compareEntry(c, entry, references)));
    return comparisons;
  } finally {
    for (const { checkpoint } of references) await checkpoint.close();
  }
}

interface Reference {
  /** Folder that the model's folder lies in: whatever lies there too is of the same model. */
  readonly beside: string;
  readonly checkpoint: LoadedCheckpoint;
}

async function openFolders(c: Case, listed: readonly Listed[]): Promise<Reference[]> {
  const references: Reference[] = [];
  for (const { file } of listed)
    if (file.endsWith("/"))
      references.push({
        beside: path.dirname(locate(c, file)),
        checkpoint: await loadCheckpoint(locate(c, file)),
      });
  return references;
}

/** The path of an entry, which is given from the directory that holds the case's section. */
function locate({ root, folder }: Case, file: string): string {
  const found = [root, path.dirname(folder), folder]
    .map((start) => path.join(start, file))
    .find((full) => existsSync(full));
  if (found === undefined) throw new Error(`The manifest lists ${file}, which is not there.`);
  return found;
}

async function compareEntry(
  c: Case,
  { file, what }: Listed,
  references: readonly Reference[],
): Promise<Comparison[]> {
  const full = locate(c, file);
  const same = references.filter(
    ({ beside }) => beside === path.dirname(full) || beside === path.dirname(path.dirname(full)),
  );
  if (file.endsWith("/")) {
    const own = same.find(({ checkpoint }) => path.resolve(checkpoint.name) === path.resolve(full));
    return own ? readWhole(file, own.checkpoint) : [verdict(file, "is not a folder that was read")];
  }
  if (file.endsWith(".json")) return [verdict(file)];
  const pipeline = same
    .map(({ checkpoint }) => checkpoint)
    .find((checkpoint) => checkpoint.pipeline !== undefined);
  const opened = await openCheckpoint(full);
  const names = Object.keys(opened.entries);
  await opened.close();
  if (names.some((name) => /lora/.test(name)) && pipeline)
    return compareAdapter(file, full, pipeline);
  if (/textual inversion/.test(what)) return compareEmbedding(file, full, what);
  if (/^\w+ format, expected in /.test(what)) return readPlain(file, full);
  return compareSingleFile(file, full, same);
}

/** Every tensor of a folder is there and can be read. */
async function readWhole(file: string, checkpoint: LoadedCheckpoint): Promise<Comparison[]> {
  for (const component of Object.values(checkpoint.components)) await readAll(component.entries);
  return [
    verdict(
      file,
      checkpoint.unexpected.length > 0 ? `has also ${checkpoint.unexpected.join(", ")}` : undefined,
    ),
  ];
}

async function readPlain(file: string, full: string): Promise<Comparison[]> {
  const checkpoint = await openCheckpoint(full);
  await readAll(checkpoint.entries).finally(() => checkpoint.close());
  return [verdict(file)];
}

async function compareSingleFile(
  file: string,
  full: string,
  references: readonly Reference[],
): Promise<Comparison[]> {
  const checkpoint = await loadCheckpoint(full);
  try {
    const comparisons: Comparison[] = [];
    for (const [name, component] of Object.entries(checkpoint.components)) {
      const reference = findReference(name, component, references);
      comparisons.push(
        reference
          ? await compareComponents(`${file}: ${name}`, component, reference)
          : verdict(`${file}: ${name}`, "has no counterpart of the same shapes among the folders"),
      );
    }
    const { unexpected } = checkpoint;
    return [
      ...comparisons,
      verdict(
        `${file}: names`,
        unexpected.length > 0 ? `has also ${unexpected.join(", ")}` : undefined,
      ),
    ];
  } finally {
    await checkpoint.close();
  }
}

/** A component of the same name and shapes: an inpainting U-Net is compared with an inpainting U-Net. */
function findReference(
  name: string,
  { entries }: Component,
  references: readonly Reference[],
): Component | undefined {
  return references
    .map(({ checkpoint }) => checkpoint.components[name])
    .find(
      (candidate) =>
        candidate &&
        Object.keys(candidate.entries).length === Object.keys(entries).length &&
        Object.entries(candidate.entries).every(
          ([key, { shape }]) => String(entries[key]?.shape) === String(shape),
        ),
    );
}

async function compareComponents(
  name: string,
  got: Component,
  expected: Component,
): Promise<Comparison> {
  let worst: Comparison = { name, error: 0, passed: true };
  for (const [key, entry] of Object.entries(expected.entries)) {
    const value = await got.entries[key].read();
    const reference = await entry.read();
    const rounded = isFloat(value.dtype)
      ? cast(cast(reference, value.dtype), "float64")
      : reference;
    const comparison = compareTensors(key, cast(value, "float64"), rounded, { atol: 0, rtol: 0 });
    if (comparison.passed) continue;
    worst = { ...comparison, name, message: `${key}: ${comparison.message}` };
  }
  return worst;
}

async function compareAdapter(
  file: string,
  full: string,
  { components }: LoadedCheckpoint,
): Promise<Comparison[]> {
  const adapter = await loadAdapter(full, components);
  try {
    const [first] = adapter.unmatched;
    if (first) return [verdict(file, `${first.name}: ${first.reason}`)];
    for (const [component, deltas] of Object.entries(adapter.deltas))
      for (const [name, delta] of Object.entries(deltas)) {
        const { shape } = components[component].entries[name];
        if (!isFinite(await readDelta(delta, shape)))
          return [verdict(file, `${component}.${name} is not finite`)];
      }
    return [verdict(file)];
  } finally {
    await adapter.close();
  }
}

async function compareEmbedding(file: string, full: string, what: string): Promise<Comparison[]> {
  const embedding = await loadTextualInversion(full);
  try {
    for (const vectors of Object.values(embedding.vectors)) await vectors.read();
    const count = Number(/(\d+) vector/.exec(what)?.[1] ?? embedding.count);
    return [
      verdict(
        file,
        embedding.count === count ? undefined : `has ${embedding.count} vectors, expected ${count}`,
      ),
    ];
  } finally {
    await embedding.close();
  }
}

function isFinite(tensor: Tensor): boolean {
  return toFloat64(tensor).every((value) => Number.isFinite(value));
}

function verdict(name: string, problem?: string): Comparison {
  return {
    name,
    error: problem === undefined ? 0 : Infinity,
    passed: problem === undefined,
    ...(problem !== undefined && { message: problem }),
  };
}
