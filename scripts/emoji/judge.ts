/** What the judge says of pictures and captions. */
import type { Image } from "nijimi/images";
import { type ClipNetwork, frechetDistanceOfFeatures, rPrecision } from "nijimi/metrics";
import { concatenate, float32, type Tensor } from "nijimi/tensor";

/** Seed of all draws of candidates. */
export const CANDIDATE_SEED = 0;
const OTHERS = 99;
const BATCH = 16;

/** Pictures and captions, pair by pair, as the judge sees them: [N, D] each. */
export interface Embedded {
  readonly images: Tensor<"float32">;
  readonly texts: Tensor<"float32">;
}

/** Shares of captions and pictures found among 100. */
export interface Retrieval {
  readonly pairs: number;
  /** The picture's caption among 100. */
  readonly captionAt1: number;
  readonly captionAt5: number;
  /** The caption's picture among 100. */
  readonly pictureAt1: number;
  readonly pictureAt5: number;
}

/** Embeddings of pictures. */
export async function embedPictures(
  judge: ClipNetwork,
  pictures: readonly Image[],
): Promise<Tensor<"float32">> {
  const rgb = pictures.map(({ width, height, data }) => ({
    width,
    height,
    data: data as Uint8Array,
  }));
  return inBatches(rgb, async (part) => (await judge.embed(part)).features);
}

/** Embeddings of captions. */
export async function embedCaptions(
  judge: ClipNetwork,
  captions: readonly string[],
): Promise<Tensor<"float32">> {
  return inBatches(captions, (part) => judge.embedTexts(part));
}

/** How often the pairs `queries` are found, among 99 others drawn from all pairs. */
export async function retrieval(
  { images, texts }: Embedded,
  queries: readonly number[],
): Promise<Retrieval> {
  const options = { queries, distractors: OTHERS, seed: CANDIDATE_SEED };
  const [first, five] = [
    await rPrecision(images, texts, { ...options, r: 1 }),
    await rPrecision(images, texts, { ...options, r: 5 }),
  ];
  return {
    pairs: queries.length,
    captionAt1: first.imageToText,
    captionAt5: five.imageToText,
    pictureAt1: first.textToImage,
    pictureAt5: five.textToImage,
  };
}

/** Fréchet distance of two sets, by rows of their embeddings. */
export function distance(a: Tensor, b: Tensor): Promise<number> {
  return frechetDistanceOfFeatures(a, b);
}

/** Rows of a set. */
export function rowsOf(
  { shape: [, width], data }: Tensor<"float32">,
  rows: readonly number[],
): Tensor<"float32"> {
  const out = new Float32Array(rows.length * width);
  rows.forEach((row, i) => out.set(data.subarray(row * width, (row + 1) * width), i * width));
  return float32([rows.length, width], out);
}

async function inBatches<T>(
  items: readonly T[],
  embed: (part: readonly T[]) => Promise<Tensor>,
): Promise<Tensor<"float32">> {
  const parts: Tensor<"float32">[] = [];
  for (let at = 0; at < items.length; at += BATCH)
    parts.push((await embed(items.slice(at, at + BATCH))) as Tensor<"float32">);
  return concatenate(parts);
}
