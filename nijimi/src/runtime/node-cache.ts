/**
 * Optimised graphs on disk: ONNX Runtime's own optimised form of a model with its weights, in the layouts that its
 * kernels want, so that a later start only maps a file.
 *
 * An entry is a folder with the graph and its weights. Its name covers the graph, the identity of the weight files,
 * the session's settings, the runtime's version and the processor, since optimised graphs are laid out for one. An
 * entry that cannot be loaded is made again. Entries that were not used for longest make room for new ones.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, stat, statfs, utimes } from "node:fs/promises";
import { arch, cpus } from "node:os";
import { join } from "node:path";
import type * as ort from "onnxruntime-common";
import { isThere } from "../internal/is-there.node.ts";
import {
  type CacheEntry,
  engineOptions,
  type SerialisedModel,
  type SessionSettings,
} from "./engine.ts";

/** Bytes that the entries may have together. */
const LARGEST_CACHE = 20e9;
/** Unfinished entries that are older, in milliseconds, were left by a process that died. */
const ABANDONED = 3_600_000;
const GRAPH = "graph.onnx";
const WEIGHTS = "graph.weights";
/** Smaller weights stay inside the graph. */
const SMALLEST_OUTSIDE = 1024;

/** Where the optimised form of a model is, or would be. */
export async function findCached(
  model: SerialisedModel,
  settings: SessionSettings,
  cacheFolder: string,
  version: string,
): Promise<CacheEntry> {
  const folder = join(cacheFolder, await cacheKey(model, settings, version));
  return { folder, isThere: await isThere(join(folder, GRAPH)) };
}

/** Loads a model from its entry, or loads it and fills the entry. */
export async function loadThroughCache(
  sessions: ort.InferenceSessionFactory,
  model: SerialisedModel,
  settings: SessionSettings,
  entry: CacheEntry,
): Promise<ort.InferenceSession> {
  const { device } = settings;
  const { folder } = entry;
  if (entry.isThere) {
    try {
      const own: SessionSettings = { ...settings, weightsFolder: folder, optimization: "disabled" };
      const now = new Date();
      await utimes(folder, now, now);
      return await sessions.create(
        join(folder, GRAPH),
        engineOptions({ weights: [] }, own, device),
      );
    } catch {
      await rm(folder, { recursive: true, force: true });
    }
  }
  const cacheFolder = join(folder, "..");
  const unfinished = join(cacheFolder, `.${randomUUID()}`);
  if (!(await hasRoom(cacheFolder, model, settings)))
    return sessions.create(model.bytes, engineOptions(model, settings, device));
  await mkdir(unfinished, { recursive: true });
  try {
    const config = {
      ...settings.config,
      "session.optimized_model_external_initializers_file_name": WEIGHTS,
      "session.optimized_model_external_initializers_min_size_in_bytes": String(SMALLEST_OUTSIDE),
    };
    const session = await sessions.create(model.bytes, {
      ...engineOptions(model, { ...settings, config }, device),
      optimizedModelFilePath: join(unfinished, GRAPH),
    });
    await rename(unfinished, folder).catch(() => undefined);
    await prune(cacheFolder, folder);
    return session;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Whether the disk can take the weights once more and have as much left. */
async function hasRoom(
  cacheFolder: string,
  { bytes, weights, files }: SerialisedModel,
  { weightsFolder = "" }: SessionSettings,
): Promise<boolean> {
  await mkdir(cacheFolder, { recursive: true });
  const sizes = await Promise.all(
    files.map(async (file) => (await stat(join(weightsFolder, file))).size),
  );
  const inMemory = weights.reduce((sum, { data }) => sum + data.length, bytes.length);
  const size = sizes.reduce((sum, one) => sum + one, inMemory);
  const { bavail, bsize } = await statfs(cacheFolder);
  return size < LARGEST_CACHE && 2 * size < bavail * bsize;
}

/**
 * Removes what was not used for longest until the rest fits, and what was never finished.
 *
 * @param kept entry that stays whatever its size
 * @param largest bytes that fit
 */
export async function prune(
  cacheFolder: string,
  kept: string,
  largest = LARGEST_CACHE,
): Promise<void> {
  const entries = await Promise.all(
    (await readdir(cacheFolder)).map(async (name) => {
      const path = join(cacheFolder, name);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
      return { path, mtimeMs, isUnfinished: name.startsWith("."), size: await sizeOfEntry(path) };
    }),
  );
  let total = 0;
  for (const { path, mtimeMs, isUnfinished, size } of entries.sort(
    (a, b) => b.mtimeMs - a.mtimeMs,
  )) {
    if (isUnfinished) {
      if (Date.now() - mtimeMs > ABANDONED) await rm(path, { recursive: true, force: true });
      continue;
    }
    total += size;
    if (total > largest && path !== kept) await rm(path, { recursive: true, force: true });
  }
}

async function sizeOfEntry(path: string): Promise<number> {
  const names = await readdir(path).catch(() => []);
  const sizes = names.map((name) =>
    stat(join(path, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function cacheKey(
  { bytes, weights, files }: SerialisedModel,
  { weightsFolder = "", device, optimization }: SessionSettings,
  version: string,
): Promise<string> {
  const hash = createHash("sha256").update(bytes);
  for (const { path, data } of weights) hash.update(path).update(data);
  const identity = {
    device,
    optimization,
    version,
    machine: `${arch()} ${cpus()[0]?.model}`,
    weightsFolder,
    // A changed checkpoint is another model.
    files: await Promise.all(
      files.map(async (name) => {
        const { size, mtimeMs } = await stat(join(weightsFolder, name));
        return [name, size, mtimeMs];
      }),
    ),
  };
  return hash.update(JSON.stringify(identity)).digest("hex").slice(0, 40);
}
