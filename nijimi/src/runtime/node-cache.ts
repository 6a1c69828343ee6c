/**
 * Optimised graphs on disk: ONNX Runtime's own optimised form of a model, so that a later start skips that work.
 *
 * The key covers the graph, the identity of its weight files, the session's settings, the runtime's version and the
 * processor, since optimised graphs are laid out for one. A file that cannot be loaded is made again.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { arch, cpus } from "node:os";
import { join } from "node:path";
import type * as ort from "onnxruntime-common";
import type { SerialisedModel, SessionSettings } from "./engine.ts";

/** Loads a model from the cache, or loads it and keeps its optimised form. */
export async function loadThroughCache(
  sessions: ort.InferenceSessionFactory,
  model: SerialisedModel,
  settings: SessionSettings,
  options: ort.InferenceSession.SessionOptions,
  folder: string,
  version: string,
): Promise<ort.InferenceSession> {
  const path = join(folder, `${await cacheKey(model, settings, version)}.onnx`);
  const { size } = await stat(path).catch(() => ({ size: 0 }));
  if (size > 0) {
    try {
      return await sessions.create(path, { ...options, graphOptimizationLevel: "disabled" });
    } catch {
      await rm(path, { force: true });
    }
  }
  await mkdir(folder, { recursive: true });
  const unfinished = join(folder, `.${randomUUID()}.onnx`);
  try {
    const session = await sessions.create(model.bytes, {
      ...options,
      optimizedModelFilePath: unfinished,
    });
    await rename(unfinished, path).catch(() => undefined);
    return session;
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function cacheKey(
  { bytes, weights }: SerialisedModel,
  { weightsFolder, device, optimization }: SessionSettings,
  version: string,
): Promise<string> {
  const hash = createHash("sha256").update(bytes);
  for (const { path, data } of weights) hash.update(path).update(data);
  const identity = {
    device,
    optimization,
    version,
    machine: `${arch()} ${cpus()[0]?.model}`,
    files: await filesIn(weightsFolder),
  };
  return hash.update(JSON.stringify(identity)).digest("hex").slice(0, 40);
}

/** Names, sizes and times of change of the files that weights are read from: a changed checkpoint is another model. */
async function filesIn(folder: string | undefined): Promise<readonly string[]> {
  if (folder === undefined) return [];
  const names = (await readdir(folder)).sort();
  const files = await Promise.all(
    names.map(async (name) => ({ name, ...(await stat(join(folder, name))) })),
  );
  return [folder, ...files.map(({ name, size, mtimeMs }) => `${name}:${size}:${mtimeMs}`)];
}
