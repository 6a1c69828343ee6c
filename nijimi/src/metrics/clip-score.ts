/**
 * Agreement of images and texts in CLIP's embedding space: CLIP score (Hessel et al. 2021, arXiv 2104.08718) and
 * R-precision (Park et al. 2021; Xu et al. 2018 for the idea).
 *
 * Two scales of the score are in use: Hessel's 2.5 · max(cos, 0), and 100 · max(cos, 0) of torchmetrics and most
 * diffusion papers, which is the default here.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { mixPair } from "./hash.ts";
import { dot, type Product } from "./linear-algebra/product.ts";
import { type ProductOption, usingProduct } from "./linear-algebra/using-product.ts";
import { type Matrix, matrix64, sameColumns } from "./matrix.ts";

const NAMES = ["image embeddings", "text embeddings"] as const;

/** Hessel's weight of the cosine. */
export const HESSEL_WEIGHT = 2.5;

/** Cosine of every image embedding with the text embedding of the same row, both [N, D]. */
export function pairedCosines(images: Tensor, texts: Tensor): Float64Array {
  const [x, y] = pairs(images, texts);
  return Float64Array.from({ length: x.rows }, (_, i) =>
    dot(x.data, y.data, i * x.columns, i * x.columns, x.columns),
  );
}

/**
 * CLIP score per pair; the score of a set is their mean.
 *
 * @param options.weight @default 100
 * @example
 * const scores = clipScores(imageEmbeddings, textEmbeddings);
 */
export function clipScores(
  images: Tensor,
  texts: Tensor,
  { weight = 100 }: { readonly weight?: number } = {},
): Float64Array {
  return pairedCosines(images, texts).map((cosine) => weight * Math.max(cosine, 0));
}

export interface RPrecisionOptions extends ProductOption {
  /** Wrong candidates beside the right one, drawn from the other pairs; part of the figure's name. @default 99 */
  readonly distractors?: number;
  /** Hits among the best R candidates. @default 1 */
  readonly r?: number;
  /** Which distractors are drawn. @default 0 */
  readonly seed?: number;
  /** Rows that are asked for; the others are only drawn from. @default all */
  readonly queries?: readonly number[];
}

export interface RPrecision {
  /** Share of images whose own text is among the best R of the texts. */
  readonly imageToText: number;
  /** Share of texts whose own image is among the best R of the images. */
  readonly textToImage: number;
  /** Distractors used: fewer than asked for when there are not enough pairs. */
  readonly distractors: number;
  readonly r: number;
}

/**
 * CLIP R-precision in both directions. Row i of both embeddings [N, D] is one pair. Equal scores, as of repeated
 * captions, count by the chance that the right one is drawn among them.
 */
export async function rPrecision(
  images: Tensor,
  texts: Tensor,
  options: RPrecisionOptions = {},
): Promise<RPrecision> {
  const { r = 1, seed = 0 } = options;
  const [x, y] = pairs(images, texts);
  if (x.rows < 2)
    throw new NijimiError("shape", `rPrecision: needs at least 2 pairs; got ${x.rows}.`);
  const distractors = Math.min(options.distractors ?? 99, x.rows - 1);
  const asked = new Set(options.queries ?? Array.from({ length: x.rows }, (_, i) => i));
  return usingProduct(options, 2 * x.rows ** 2 * x.columns, async (product) => ({
    imageToText: await hits(x, y, { distractors, r, seed, asked, product }),
    textToImage: await hits(y, x, { distractors, r, seed, asked, product }),
    distractors,
    r,
  }));
}

interface Search {
  readonly distractors: number;
  readonly r: number;
  readonly seed: number;
  /** Rows that count. */
  readonly asked: ReadonlySet<number>;
  readonly product: Product;
}

/** Mean chance that the right candidate is among the best `r`. */
async function hits(
  queries: Matrix<Float64Array>,
  candidates: Matrix<Float64Array>,
  { distractors, r, seed, asked, product }: Search,
): Promise<number> {
  const { rows, columns, data } = queries;
  const STEP = 512;
  let total = 0;
  for (let start = 0; start < rows; start += STEP) {
    const count = Math.min(STEP, rows - start);
    const part = data.subarray(start * columns, (start + count) * columns);
    const scores = await product(part, candidates.data, count, columns, rows);
    for (let i = 0; i < count; i++) {
      if (!asked.has(start + i)) continue;
      const row = scores.subarray(i * rows, (i + 1) * rows);
      const own = row[start + i];
      let [better, equal] = [0, 0];
      for (const other of drawOthers(rows, start + i, distractors, seed)) {
        if (row[other] > own) better++;
        else if (row[other] === own) equal++;
      }
      total += Math.min(1, Math.max(0, (r - better) / (equal + 1)));
    }
  }
  return total / asked.size;
}

/** `count` different indices below n other than `own`: all of them, or the first of a shuffle by Fisher and Yates. */
function* drawOthers(n: number, own: number, count: number, seed: number): Generator<number> {
  const moved = new Map<number, number>();
  const at = (i: number): number => moved.get(i) ?? i;
  for (let i = 0; i < count; i++) {
    const j = i + (mixPair(mixPair(seed, own), i) % (n - 1 - i));
    const drawn = at(j);
    moved.set(j, at(i));
    yield drawn < own ? drawn : drawn + 1;
  }
}

/** Both embeddings with rows of length 1. */
function pairs(images: Tensor, texts: Tensor): [Matrix<Float64Array>, Matrix<Float64Array>] {
  const x = normalised(matrix64(images, NAMES[0]), NAMES[0]);
  const y = normalised(matrix64(texts, NAMES[1]), NAMES[1]);
  sameColumns(x, y, NAMES);
  if (x.rows !== y.rows)
    throw new NijimiError(
      "shape",
      `Got ${x.rows} image and ${y.rows} text embeddings; expected pairs.`,
    );
  return [x, y];
}

function normalised(
  { rows, columns, data }: Matrix<Float64Array>,
  what: string,
): Matrix<Float64Array> {
  const out = data.slice();
  for (let i = 0; i < rows; i++) {
    const row = out.subarray(i * columns, (i + 1) * columns);
    const length = Math.sqrt(dot(row, row, 0, 0, columns));
    if (length === 0)
      throw new NijimiError("numeric", `${what}: row ${i} is zero and has no direction.`);
    for (let j = 0; j < columns; j++) row[j] /= length;
  }
  return { rows, columns, data: out };
}
