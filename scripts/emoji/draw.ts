/** Drawing many pictures with the embedded model; those that are on disk already are read. */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { decodeImage, encodeImage, type Image } from "nijimi/images";
import { allImages, type Pipeline, textToImage } from "nijimi/pipelines";
import type { Item } from "./sets.ts";

/** How pictures are drawn. */
export interface DrawSettings {
  readonly steps: number;
  readonly guidanceScale: number;
  /** @default the model's scheduler */
  readonly sampler?: string;
  /** Seed of the first picture; the others count up. @default 1 */
  readonly seed?: number;
}

/** Where pictures are kept and how it is told how far it is. */
export interface DrawContext {
  readonly pipeline: Pipeline;
  /** Folder of all drawn pictures. */
  readonly work: string;
  readonly say: (line: string) => void;
}

/** Pictures drawn at the same time. */
const BATCH = 8;

/**
 * One picture per caption, in a folder named by the settings, with the captions in `metadata.jsonl`, so that
 * `nijimi eval FOLDER` measures them too.
 */
export async function draw(
  { pipeline, work, say }: DrawContext,
  name: string,
  items: readonly Item[],
  { steps, guidanceScale, sampler, seed = 1 }: DrawSettings,
): Promise<Image[]> {
  const settings = [`s${steps}`, `g${guidanceScale}`, ...(sampler ? [sampler] : []), `seed${seed}`];
  const folder = path.join(work, [name, ...settings].join("-").replaceAll(" ", "_"));
  await mkdir(folder, { recursive: true });
  const fileOf = ({ key }: Item) => path.join(folder, `${key}.png`);
  const missing: number[] = [];
  for (const [i, item] of items.entries())
    if (!(await stat(fileOf(item)).catch(() => undefined))) missing.push(i);
  for (let at = 0; at < missing.length; at += BATCH) {
    const part = missing.slice(at, at + BATCH);
    const images = await allImages(
      textToImage(pipeline, {
        prompt: part.map((i) => items[i].caption),
        seed: part.map((i) => seed + i),
        grammar: "plain",
        steps,
        guidanceScale,
        ...(sampler !== undefined && { sampler }),
      }),
    );
    for (const [j, { image }] of images.entries())
      await writeFile(fileOf(items[part[j]]), await encodeImage(image));
    say(`${path.basename(folder)}: ${at + part.length} of ${missing.length}`);
  }
  const lines = items.map((item) =>
    JSON.stringify({ file_name: path.basename(fileOf(item)), text: item.caption }),
  );
  await writeFile(path.join(folder, "metadata.jsonl"), `${lines.join("\n")}\n`);
  return Promise.all(items.map(async (item) => decodeImage(await readFile(fileOf(item)))));
}
