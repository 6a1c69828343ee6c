/**
 * Bilinear interpolation of tensors without antialiasing: TensorFlow 1's `resize_bilinear`, which the original FID
 * uses, and torch's `interpolate`. They differ in where a pixel's centre is.
 */
import { NijimiError } from "../../errors.ts";
import { float32, type Tensor } from "../../tensor/tensor.ts";

export interface BilinearOptions {
  readonly height: number;
  readonly width: number;
  /** The outermost pixels' centres stay in place. @default false */
  readonly alignCorners?: boolean;
  /**
   * True: a pixel's centre is at + ½, as in torch and TensorFlow 2. False: at its corner, as in TensorFlow 1.
   * Without meaning when corners are aligned. @default true
   */
  readonly halfPixelCentres?: boolean;
}

/** For one output place: two input places and the share of the second. */
interface Mix {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly share: Float32Array;
}

/**
 * Interpolates the last two axes of a tensor [N, C, H, W].
 *
 * @throws NijimiError `shape` for another rank, `option` for a size below 1
 * @example
 * const resized = interpolateBilinear(x, { height: 299, width: 299, halfPixelCentres: false }); // as for FID
 */
export function interpolateBilinear(
  { shape, data }: Tensor<"float32">,
  options: BilinearOptions,
): Tensor<"float32"> {
  const { height, width } = options;
  if (shape.length !== 4)
    throw new NijimiError(
      "shape",
      `interpolateBilinear: a tensor [${shape}]; expected [N, C, H, W].`,
    );
  if (!(height >= 1 && width >= 1))
    throw new NijimiError(
      "option",
      `interpolateBilinear: to ${width}×${height}; both must be at least 1.`,
    );
  const [count, channels, inHeight, inWidth] = shape;
  const [rows, columns] = [mixes(inHeight, height, options), mixes(inWidth, width, options)];
  const out = new Float32Array(count * channels * height * width);
  for (let plane = 0; plane < count * channels; plane++) {
    const from = plane * inHeight * inWidth;
    for (let y = 0; y < height; y++) {
      const [top, bottom] = [from + rows.low[y] * inWidth, from + rows.high[y] * inWidth];
      for (let x = 0; x < width; x++) {
        const [left, right, share] = [columns.low[x], columns.high[x], columns.share[x]];
        const above = data[top + left] + (data[top + right] - data[top + left]) * share;
        const below = data[bottom + left] + (data[bottom + right] - data[bottom + left]) * share;
        out[(plane * height + y) * width + x] = above + (below - above) * rows.share[y];
      }
    }
  }
  return float32([count, channels, height, width], out);
}

function mixes(
  size: number,
  outSize: number,
  { alignCorners = false, halfPixelCentres = true }: BilinearOptions,
): Mix {
  const scale = alignCorners ? (outSize > 1 ? (size - 1) / (outSize - 1) : 0) : size / outSize;
  const places = Float32Array.from({ length: outSize }, (_, i) =>
    alignCorners || !halfPixelCentres ? i * scale : Math.max(0, (i + 0.5) * scale - 0.5),
  );
  const low = Int32Array.from(places, (place) => Math.min(size - 1, Math.floor(place)));
  return {
    low,
    high: low.map((place) => Math.min(size - 1, place + 1)),
    share: places.map((place, i) => place - low[i]),
  };
}
