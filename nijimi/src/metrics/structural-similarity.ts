/**
 * Structural similarity (Wang et al. 2004) and its multi-scale form (Wang, Simoncelli & Bovik 2003): Gaussian window
 * of 11 × 11 with σ = 1.5, K₁ = 0.01, K₂ = 0.03, only windows that lie inside the image, mean over windows and
 * channels. Halving between scales is an average of 2 × 2 with odd sizes padded by zeros, as pytorch-msssim does it.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type RangeOption, rangeOf, sameShape } from "./peak-signal-to-noise.ts";

const WINDOW = 11;
const SIGMA = 1.5;
const [K1, K2] = [0.01, 0.03];
/** Exponents of the five scales, from fine to coarse. */
const SCALE_WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/** One channel of an image. */
interface Plane {
  readonly height: number;
  readonly width: number;
  readonly data: Float64Array;
}

/** Mean of luminance × contrast × structure, and of contrast × structure alone. */
interface Similarity {
  readonly ssim: number;
  readonly contrast: number;
}

/**
 * SSIM of two images [C, H, W]; 1 for equal ones.
 *
 * @throws NijimiError `shape` for images smaller than the window
 */
export function structuralSimilarity(a: Tensor, b: Tensor, options: RangeOption = {}): number {
  const range = rangeOf(a, options, "structuralSimilarity");
  return mean(planePairs(a, b, WINDOW).map(([x, y]) => compare(x, y, range).ssim));
}

/**
 * MS-SSIM of two images [C, H, W] over five scales.
 *
 * @throws NijimiError `shape` for images with a side of 160 or less
 */
export function multiScaleStructuralSimilarity(
  a: Tensor,
  b: Tensor,
  options: RangeOption = {},
): number {
  const range = rangeOf(a, options, "multiScaleStructuralSimilarity");
  const smallest = (WINDOW - 1) * 2 ** (SCALE_WEIGHTS.length - 1) + 1;
  return mean(
    planePairs(a, b, smallest).map(([x, y]) => {
      let product = 1;
      let [fine, other] = [x, y];
      SCALE_WEIGHTS.forEach((weight, scale) => {
        if (scale > 0) [fine, other] = [halve(fine), halve(other)];
        const { ssim, contrast } = compare(fine, other, range);
        const factor = scale === SCALE_WEIGHTS.length - 1 ? ssim : contrast;
        product *= Math.max(0, factor) ** weight;
      });
      return product;
    }),
  );
}

function planePairs(a: Tensor, b: Tensor, smallest: number): [Plane, Plane][] {
  const [x, y] = sameShape(a, b, "structuralSimilarity");
  const [channels, height, width] = a.shape;
  if (a.shape.length !== 3 || Math.min(height, width) < smallest)
    throw new NijimiError(
      "shape",
      `structuralSimilarity: got [${a.shape}]; expected [C, H, W] with sides of at least ${smallest}.`,
    );
  const area = height * width;
  const plane = (data: Float64Array, c: number): Plane => ({
    height,
    width,
    data: data.subarray(c * area, (c + 1) * area),
  });
  return Array.from({ length: channels }, (_, c) => [plane(x, c), plane(y, c)]);
}

function compare(x: Plane, y: Plane, range: number): Similarity {
  const [c1, c2] = [(K1 * range) ** 2, (K2 * range) ** 2];
  const blurred = (value: (i: number) => number): Float64Array =>
    blur({ ...x, data: Float64Array.from(x.data, (_, i) => value(i)) });
  const muX = blur(x);
  const muY = blur(y);
  const xx = blurred((i) => x.data[i] * x.data[i]);
  const yy = blurred((i) => y.data[i] * y.data[i]);
  const xy = blurred((i) => x.data[i] * y.data[i]);
  let [ssim, contrast] = [0, 0];
  for (let i = 0; i < muX.length; i++) {
    const product = muX[i] * muY[i];
    const squares = muX[i] ** 2 + muY[i] ** 2;
    const structure = (2 * (xy[i] - product) + c2) / (xx[i] + yy[i] - squares + c2);
    contrast += structure;
    ssim += ((2 * product + c1) / (squares + c1)) * structure;
  }
  return { ssim: ssim / muX.length, contrast: contrast / muX.length };
}

/** Gaussian window, rows then columns, without padding: [H − 10, W − 10]. */
function blur({ height, width, data }: Plane): Float64Array {
  const window = gaussian(WINDOW, SIGMA);
  const outWidth = width - WINDOW + 1;
  const outHeight = height - WINDOW + 1;
  const rows = new Float64Array(height * outWidth);
  for (let i = 0; i < height; i++)
    for (let j = 0; j < outWidth; j++)
      for (let k = 0; k < WINDOW; k++)
        rows[i * outWidth + j] += window[k] * data[i * width + j + k];
  const out = new Float64Array(outHeight * outWidth);
  for (let i = 0; i < outHeight; i++)
    for (let k = 0; k < WINDOW; k++)
      for (let j = 0; j < outWidth; j++)
        out[i * outWidth + j] += window[k] * rows[(i + k) * outWidth + j];
  return out;
}

function gaussian(size: number, sigma: number): readonly number[] {
  const weights = Array.from({ length: size }, (_, i) =>
    Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

/** Averages of 2 × 2 elements; a side of odd length gets a zero before it. */
function halve({ height, width, data }: Plane): Plane {
  const [top, left] = [height % 2, width % 2];
  const [outHeight, outWidth] = [(height + top) / 2, (width + left) / 2];
  const out = new Float64Array(outHeight * outWidth);
  for (let i = 0; i < height; i++)
    for (let j = 0; j < width; j++)
      out[((i + top) >> 1) * outWidth + ((j + left) >> 1)] += data[i * width + j] / 4;
  return { height: outHeight, width: outWidth, data: out };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
