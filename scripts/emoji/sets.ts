/** What the embedded model is measured on: pictures with captions that it has and has not seen, and compositions. */
import { openDataset } from "nijimi/data";
import { createImage, decodeImage, type Image } from "nijimi/images";
import { toRgb } from "../../nijimi/src/metrics/networks/rgb.ts";
import { COMPOSITIONS, WITHHELD_EMOJI } from "../../nijimi/src/train/recipes/emoji/split.ts";

/** A caption, with its picture where there is one. */
export interface Item {
  /** Unique; the name of files. */
  readonly key: string;
  readonly caption: string;
  /** On white. */
  readonly picture?: Image;
}

/** Groups of captions that figures are given for. */
export const GROUPS = ["training", "withheld", "compositions"] as const;
export type Group = (typeof GROUPS)[number];

export type Sets = Readonly<Record<Group, readonly Item[]>>;

/** Base emoji of the shards, by what training saw of them, and the written compositions. */
export async function readSets(shards: string): Promise<Sets> {
  const dataset = await openDataset({ kind: "webdataset", files: shards, inMemory: true });
  if (dataset.kind !== "indexed") throw new Error(`${shards} is not held in memory.`);
  const withheldKeys = new Set(WITHHELD_EMOJI.map(({ key }) => key));
  const training: Item[] = [];
  const withheld: Item[] = [];
  for (let i = 0; i < dataset.size; i++) {
    const { key, caption = "", image, metadata } = await dataset.read(i);
    if (metadata?.["base"] !== true) continue;
    const item = { key, caption, picture: await onWhite(image as Uint8Array) };
    (withheldKeys.has(key) ? withheld : training).push(item);
  }
  const compositions = COMPOSITIONS.map((caption) => ({ key: slug(caption), caption }));
  return { training, withheld, compositions };
}

/** A picture's bytes as RGB on white, as training composites it. */
export async function onWhite(bytes: Uint8Array): Promise<Image> {
  const image = await decodeImage(bytes, { bitDepth: 8 });
  const { width, height, channels } = image;
  const rgb = toRgb({ width, height, channels, data: image.data as Uint8Array });
  return createImage(width, height, 3, rgb.data);
}

/** Every n-th item, so that `count` are left: spread over all groups of emoji. */
export function spread<T>(items: readonly T[], count: number): T[] {
  if (count >= items.length) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]);
}

function slug(caption: string): string {
  return caption.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "-");
}
