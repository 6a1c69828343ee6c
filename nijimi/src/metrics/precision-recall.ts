/**
 * Fidelity and diversity apart: improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991) and
 * density and coverage (Naeem et al. 2020, arXiv 2002.09797), from balls around every point that reach to its k-th
 * nearest neighbour of the same set.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { quantile } from "./bootstrap.ts";
import { eachDistanceRow, smallest } from "./distances.ts";
import type { Product } from "./linear-algebra/product.ts";
import { type ProductOption, usingProduct } from "./linear-algebra/using-product.ts";
import { type Matrix, matrix64, sameColumns } from "./matrix.ts";

export interface PrecisionRecall {
  /** Share of generated samples inside a real ball. */
  readonly precision: number;
  /** Share of real samples inside a generated ball. */
  readonly recall: number;
  /** Real balls a generated sample lies in, divided by k; may exceed 1. */
  readonly density: number;
  /** Share of real balls with a generated sample inside. */
  readonly coverage: number;
  /**
   * How close every generated sample is to the real ones, relative to their own spacing: above 1 it lies inside a
   * real ball (Kynkäänniemi et al., eq. 3; balls larger than the median do not count).
   */
  readonly realism: Float64Array;
  /** Radius of every real ball. */
  readonly realRadii: Float64Array;
  /** Radius of every generated ball. */
  readonly generatedRadii: Float64Array;
}

export interface PrecisionRecallOptions extends ProductOption {
  /** Neighbours that make the radius; the point itself does not count. @default 3 */
  readonly k?: number;
}

/**
 * Precision, recall, density and coverage of features [N, D] of real and [M, D] of generated images.
 *
 * @throws NijimiError `option` when a set has not more than k samples
 */
export async function precisionRecall(
  real: Tensor,
  generated: Tensor,
  options: PrecisionRecallOptions = {},
): Promise<PrecisionRecall> {
  const { k = 3 } = options;
  const names = ["real features", "generated features"] as const;
  const x = matrix64(real, names[0]);
  const y = matrix64(generated, names[1]);
  sameColumns(x, y, names);
  if (!Number.isInteger(k) || k < 1 || k >= Math.min(x.rows, y.rows))
    throw new NijimiError(
      "option",
      `precisionRecall: k = ${k} needs more than ${k} samples a set; got ${x.rows} real and ${y.rows} generated.`,
    );
  const work = (x.rows + y.rows) ** 2 * x.columns;
  return usingProduct(options, work, async (product) => {
    const realRadii = await radii(x, k, product);
    const generatedRadii = await radii(y, k, product);
    return {
      ...(await compare(x, y, realRadii, generatedRadii, k, product)),
      realRadii,
      generatedRadii,
    };
  });
}

/** Distance of every row to its k-th nearest other row. */
async function radii(m: Matrix<Float64Array>, k: number, product: Product): Promise<Float64Array> {
  const out = new Float64Array(m.rows);
  await eachDistanceRow(m, m, product, (row, distances) => {
    out[row] = smallest(distances, k, row).distances[k - 1];
  });
  return out;
}

async function compare(
  real: Matrix<Float64Array>,
  generated: Matrix<Float64Array>,
  realRadii: Float64Array,
  generatedRadii: Float64Array,
  k: number,
  product: Product,
): Promise<Omit<PrecisionRecall, "realRadii" | "generatedRadii">> {
  const realism = new Float64Array(generated.rows);
  const median = quantile(realRadii.slice().sort(), 0.5);
  const inReal = new Uint32Array(generated.rows); // real balls around each generated sample
  let [recalled, covered] = [0, 0];
  await eachDistanceRow(real, generated, product, (i, distances) => {
    let [isRecalled, isCovered] = [false, false];
    for (let j = 0; j < distances.length; j++) {
      if (distances[j] <= generatedRadii[j]) isRecalled = true;
      if (distances[j] <= realRadii[i]) {
        isCovered = true;
        inReal[j]++;
      }
      if (realRadii[i] <= median)
        realism[j] = Math.max(realism[j], realRadii[i] / Math.max(distances[j], Number.MIN_VALUE));
    }
    recalled += Number(isRecalled);
    covered += Number(isCovered);
  });
  return {
    precision: inReal.filter((balls) => balls > 0).length / generated.rows,
    recall: recalled / real.rows,
    density: inReal.reduce((sum, balls) => sum + balls, 0) / (k * generated.rows),
    coverage: covered / real.rows,
    realism: realism.map((value) => Math.min(value, Number.MAX_VALUE)),
  };
}
