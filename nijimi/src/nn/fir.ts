/**
 * Resampling with a FIR filter (StyleGAN2's upfirdn2d), as NCSN++ does it: zeros in between, filter, every n-th.
 *
 * Song et al. 2021 (arXiv:2011.13456), appendix H; kernel (1, 3, 3, 1) normalised. The filter acts on each channel
 * alone, as a depthwise convolution.
 */
import { multiplyDims } from "../graph/dim.ts";
import { constant, conv2d, flip, pad, reshape, slice } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { float32 } from "../tensor/tensor.ts";

/** The separable filter `taps`, normalised to sum to `gain`, as a matrix [k, k]. */
export function firKernel(
  taps: readonly number[],
  gain = 1,
): { readonly size: number; readonly values: Float64Array } {
  const size = taps.length;
  const values = Float64Array.from(
    { length: size * size },
    (_, i) => taps[Math.floor(i / size)] * taps[i % size],
  );
  const total = values.reduce((sum, value) => sum + value, 0);
  return { size, values: values.map((value) => (value * gain) / total) };
}

/** Enlarges [N, C, H, W] by `factor`, filtered by `taps`. @param gain @default 1 */
export function firUpsample(x: Sym, taps: readonly number[], factor = 2, gain = 1): Sym {
  const kernel = firKernel(taps, gain * factor ** 2);
  const p = kernel.size - factor;
  return upFirDown(x, kernel, {
    up: factor,
    down: 1,
    pad: [Math.floor((p + 1) / 2) + factor - 1, Math.floor(p / 2)],
  });
}

/** Shrinks [N, C, H, W] by `factor`, filtered by `taps`. @param gain @default 1 */
export function firDownsample(x: Sym, taps: readonly number[], factor = 2, gain = 1): Sym {
  const kernel = firKernel(taps, gain);
  const p = kernel.size - factor;
  return upFirDown(x, kernel, {
    up: 1,
    down: factor,
    pad: [Math.floor((p + 1) / 2), Math.floor(p / 2)],
  });
}

/** Zeros between samples, padding before and after, the filter, then every `down`-th sample. */
export function upFirDown(
  x: Sym,
  kernel: { readonly size: number; readonly values: ArrayLike<number> },
  {
    up,
    down,
    pad: [before, after],
  }: { readonly up: number; readonly down: number; readonly pad: readonly [number, number] },
): Sym {
  const channels = x.shape[1] as number;
  const spread = up === 1 ? x : insertZeros(x, up);
  const padded = crop(
    pad(
      spread,
      [0, 0, Math.max(0, before), Math.max(0, before)],
      [0, 0, Math.max(0, after), Math.max(0, after)],
    ),
    before,
    after,
  );
  const filter = constant(
    float32([1, 1, kernel.size, kernel.size], Float32Array.from(kernel.values)),
  );
  // A convolution turns its kernel around; conv2d correlates.
  const turned = flip(flip(filter, 2), 3);
  const depthwise = reshape(padded, [
    multiplyDims(padded.shape[0], channels),
    1,
    padded.shape[2],
    padded.shape[3],
  ]);
  const filtered = conv2d(depthwise, turned, undefined, { stride: down });
  return reshape(filtered, [x.shape[0], channels, filtered.shape[2], filtered.shape[3]]);
}

/** up − 1 zeros after each sample, in both directions. */
function insertZeros(x: Sym, up: number): Sym {
  const [n, c, h, w] = x.shape;
  const apart = pad(
    reshape(x, [n, c, h, 1, w, 1]),
    [0, 0, 0, 0, 0, 0],
    [0, 0, 0, up - 1, 0, up - 1],
  );
  return reshape(apart, [n, c, multiplyDims(h, up), multiplyDims(w, up)]);
}

/** Negative padding cuts. */
function crop(x: Sym, before: number, after: number): Sym {
  if (before >= 0 && after >= 0) return x;
  const cut = (y: Sym, axis: number): Sym => {
    const size = y.shape[axis] as number;
    return slice(y, axis, Math.max(0, -before), size - Math.max(0, -after));
  };
  return cut(cut(x, 2), 3);
}
