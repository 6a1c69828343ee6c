/**
 * Kernel distance: the unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3).
 * On features of the FID Inception network with the cubic polynomial kernel it is the KID
 * (Bińkowski et al. 2018, arXiv 1801.01401). Unlike the Fréchet distance it has no bias for small sets.
 */
import { NijimiError, unknownName } from "../errors.ts";
import { numpyRandomState } from "../tensor/random/numpy.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Floats, Product } from "./linear-algebra/product.ts";
import { type ProductOption, usingProduct } from "./linear-algebra/using-product.ts";
import { type Matrix, matrixPair, squaredNorms, takeRows } from "./matrix.ts";

const KERNELS = ["polynomial", "rbf"] as const;

export interface KernelOptions extends ProductOption {
  /** (γ x·y + c)^degree, or exp(−|x − y|² / 2σ²). @default "polynomial" */
  readonly kernel?: (typeof KERNELS)[number];
  /** @default 3 */
  readonly degree?: number;
  /** γ. @default 1 / D */
  readonly gamma?: number;
  /** c. @default 1 */
  readonly coef0?: number;
  /** σ of the "rbf" kernel. @default 10 */
  readonly sigma?: number;
}

export interface KernelDistanceOptions extends KernelOptions {
  /** Number of random subsets. @default 100 */
  readonly subsets?: number;
  /** Samples in a subset. @default 1000, or the smaller set's size where that is less */
  readonly subsetSize?: number;
  /** Seed of NumPy's RandomState; the default draws torch-fidelity's subsets. @default 2020 */
  readonly seed?: number;
}

export interface KernelDistance {
  readonly mean: number;
  /** Over the subsets, divided by their number (ddof = 0). */
  readonly std: number;
  /** One estimate per subset. */
  readonly values: Float64Array;
  readonly subsetSize: number;
}

/**
 * Unbiased MMD² of two whole feature sets [N, D] and [M, D]. Slightly negative values are right for equal sets.
 *
 * @throws NijimiError `shape` for sets of less than two samples or of different dimensions
 */
export async function mmd2(a: Tensor, b: Tensor, options: KernelOptions = {}): Promise<number> {
  const [x, y] = matrixPair(a, b, ["features of the first set", "features of the second set"]);
  return usingProduct(options, (x.rows + y.rows) ** 2 * x.columns, (product) =>
    unbiased(x, y, options, product),
  );
}

/**
 * MMD² over random subsets, with mean and standard deviation: KID when the features are Inception's.
 *
 * @example
 * const { mean, std } = await kernelDistance(generated, reference);
 */
export async function kernelDistance(
  a: Tensor,
  b: Tensor,
  options: KernelDistanceOptions = {},
): Promise<KernelDistance> {
  const [x, y] = matrixPair(a, b, ["features of the first set", "features of the second set"]);
  const { subsets = 100, seed = 2020 } = options;
  const subsetSize = options.subsetSize ?? Math.min(1000, x.rows, y.rows);
  if (subsetSize > Math.min(x.rows, y.rows))
    throw new NijimiError(
      "option",
      `kernelDistance: subsets of ${subsetSize} samples cannot be drawn from sets of ${x.rows} and ${y.rows}; ` +
        "lower subsetSize or give more samples.",
    );
  const random = numpyRandomState(seed);
  const draw = (from: Matrix): Matrix =>
    takeRows(from, Array.from(random.permutation(from.rows).data.subarray(0, subsetSize), Number));
  const values = new Float64Array(subsets);
  await usingProduct(options, subsets * subsetSize ** 2 * x.columns, async (product) => {
    for (let i = 0; i < subsets; i++)
      values[i] = await unbiased(draw(x), draw(y), options, product);
  });
  const mean = values.reduce((sum, value) => sum + value, 0) / subsets;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / subsets;
  return { mean, std: Math.sqrt(variance), values, subsetSize };
}

/** mean of k(x, x') over x ≠ x' + the same of y − 2 · mean of k(x, y). */
async function unbiased(
  x: Matrix,
  y: Matrix,
  options: KernelOptions,
  product: Product,
): Promise<number> {
  if (Math.min(x.rows, y.rows) < 2)
    throw new NijimiError(
      "shape",
      `mmd2: needs at least 2 samples a set; got ${x.rows} and ${y.rows}.`,
    );
  const kernel = kernelOf(x.columns, options);
  const within = async (m: Matrix): Promise<number> => {
    const { total, diagonal } = await kernelSums(m, m, kernel, product);
    return (total - diagonal) / (m.rows * (m.rows - 1));
  };
  const across = (await kernelSums(x, y, kernel, product)).total / (x.rows * y.rows);
  return (await within(x)) + (await within(y)) - 2 * across;
}

/** A kernel of x·y, |x|² and |y|². */
type Kernel = (xy: number, xx: number, yy: number) => number;

function kernelOf(
  dimensions: number,
  {
    kernel = "polynomial",
    degree = 3,
    gamma = 1 / dimensions,
    coef0 = 1,
    sigma = 10,
  }: KernelOptions,
): Kernel {
  if (!KERNELS.includes(kernel)) throw unknownName("kernel", kernel, KERNELS);
  if (kernel === "rbf") return (xy, xx, yy) => Math.exp((2 * xy - xx - yy) / (2 * sigma * sigma));
  if (degree !== 3) return (xy) => (gamma * xy + coef0) ** degree;
  return (xy) => {
    const base = gamma * xy + coef0;
    return base * base * base;
  };
}

async function kernelSums(
  x: Matrix,
  y: Matrix,
  kernel: Kernel,
  product: Product,
): Promise<{ total: number; diagonal: number }> {
  const gram = await product<Floats>(x.data, y.data, x.rows, x.columns, y.rows);
  const [xx, yy] = [squaredNorms(x), squaredNorms(y)];
  let [total, diagonal] = [0, 0];
  for (let i = 0; i < x.rows; i++)
    for (let j = 0; j < y.rows; j++) {
      const value = kernel(gram[i * y.rows + j], xx[i], yy[j]);
      total += value;
      if (i === j) diagonal += value;
    }
  return { total, diagonal };
}
