/**
 * Nearest neighbours of generated samples among the training samples, and the share that looks copied.
 *
 * A sample counts as a copy when it is much nearer to one training sample than to any other: d₁ / d₂ below a third,
 * the criterion of Yoon et al. 2023 ("Diffusion probabilistic models generalize when they fail to memorize").
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { eachDistanceRow, smallest } from "./distances.ts";
import { type ProductOption, usingProduct } from "./linear-algebra/using-product.ts";
import { type Matrix, matrix64, sameColumns } from "./matrix.ts";

/** The nearest training samples of one generated sample. */
export interface Neighbours {
  /** Rows of the training features, nearest first. */
  readonly indices: readonly number[];
  /** Euclidean, ascending. */
  readonly distances: readonly number[];
  /** d₁ / d₂; 0 for an exact copy. */
  readonly ratio: number;
  readonly copied: boolean;
}

export interface MemorisationOptions extends ProductOption {
  /** Neighbours to report. @default 3 */
  readonly k?: number;
  /** Ratio d₁ / d₂ below which a sample counts as copied. @default 1/3 */
  readonly ratio?: number;
}

export interface Memorisation {
  /** By generated sample. */
  readonly neighbours: readonly Neighbours[];
  /** Share of copied samples. */
  readonly copiedShare: number;
}

/**
 * Looks up generated samples [M, D] among training samples [N, D].
 *
 * @throws NijimiError `option` for fewer than two training samples or less than one neighbour
 */
export async function memorisation(
  generated: Tensor,
  training: Tensor,
  options: MemorisationOptions = {},
): Promise<Memorisation> {
  const { k = 3, ratio: limit = 1 / 3 } = options;
  const names = ["generated features", "training features"] as const;
  const x = matrix64(generated, names[0]);
  const y = matrix64(training, names[1]);
  sameColumns(x, y, names);
  if (k < 1 || y.rows < 2)
    throw new NijimiError(
      "option",
      `memorisation: needs k ≥ 1 and at least 2 training samples; got k = ${k} and ${y.rows} samples.`,
    );
  const neighbours: Neighbours[] = [];
  await usingProduct(options, x.rows * y.rows * x.columns, (product) =>
    eachDistanceRow(x, y, product, (i, row) => {
      const found = exactly(x, i, y, smallest(row, Math.min(Math.max(k, 2), y.rows)).indices);
      const [d1, d2] = found.distances;
      const ratio = d1 === 0 ? 0 : d1 / d2;
      neighbours.push({
        indices: found.indices.slice(0, k),
        distances: found.distances.slice(0, k),
        ratio,
        copied: ratio < limit,
      });
    }),
  );
  const copied = neighbours.filter((one) => one.copied).length;
  return { neighbours, copiedShare: neighbours.length === 0 ? 0 : copied / neighbours.length };
}

/** Distances without the cancellation of |x|² + |y|² − 2 x·y, so that a copy is at distance 0. */
function exactly(
  x: Matrix<Float64Array>,
  row: number,
  y: Matrix<Float64Array>,
  candidates: readonly number[],
): { indices: number[]; distances: number[] } {
  const found = candidates.map((index) => {
    let sum = 0;
    for (let j = 0; j < x.columns; j++)
      sum += (x.data[row * x.columns + j] - y.data[index * y.columns + j]) ** 2;
    return { index, distance: Math.sqrt(sum) };
  });
  found.sort((a, b) => a.distance - b.distance || a.index - b.index);
  return {
    indices: found.map(({ index }) => index),
    distances: found.map(({ distance }) => distance),
  };
}
