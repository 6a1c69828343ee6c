/** Tensors [N, C, H, W] of another height and width, as torch's `interpolate` makes them without antialiasing. */
import type { Tensor } from "../tensor/tensor.ts";

type F32 = Tensor<"float32">;

/** Places and weights that a new row or column is made of. */
export type Taps = (
  at: number,
  from: number,
  to: number,
) => readonly (readonly [place: number, weight: number])[];

const inside = (place: number, size: number): number => Math.min(Math.max(place, 0), size - 1);

/** Half-pixel centres, edges repeated (torch's `align_corners=False`). */
export const bilinear: Taps = (at, from, to) => {
  const centre = inside(((at + 0.5) * from) / to - 0.5, from);
  const low = Math.floor(centre);
  return [
    [low, 1 - (centre - low)],
    [Math.min(low + 1, from - 1), centre - low],
  ];
};

export const nearest: Taps = (at, from, to) => [[Math.floor((at * from) / to), 1]];

/** Keys' cubic convolution with torch's a = −¾. */
export const bicubic: Taps = (at, from, to) => {
  const a = -0.75;
  const centre = ((at + 0.5) * from) / to - 0.5;
  const low = Math.floor(centre);
  const weight = (d: number): number =>
    d <= 1 ? (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1 : a * (d ** 3 - 5 * d ** 2 + 8 * d - 4);
  return [-1, 0, 1, 2].map((k) => [inside(low + k, from), weight(Math.abs(centre - low - k))]);
};

export function resizeTensor(x: F32, height: number, width: number, taps: Taps): F32 {
  const [batch, channels, rows, columns] = x.shape;
  const data = new Float32Array(batch * channels * height * width);
  for (let plane = 0; plane < batch * channels; plane++)
    for (let y = 0; y < height; y++)
      for (let c = 0; c < width; c++) {
        let sum = 0;
        for (const [fromY, weightY] of taps(y, rows, height))
          for (const [fromX, weightX] of taps(c, columns, width))
            sum += weightY * weightX * x.data[(plane * rows + fromY) * columns + fromX];
        data[(plane * height + y) * width + c] = sum;
      }
  return { dtype: "float32", shape: [batch, channels, height, width], data };
}
