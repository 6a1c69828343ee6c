/** Tiles: what they cover, and that a network without surroundings is the same with and without them. */
import { describe, expect, test } from "vitest";
import { torchGenerator } from "../../tensor/random/torch.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { tiled, tilesFor } from "./tiles.ts";

type F32 = Tensor<"float32">;

/** Every place repeated `factor` times each way. */
function enlarge(x: F32, factor: number): F32 {
  const [n, c, h, w] = x.shape;
  const data = Float32Array.from({ length: x.data.length * factor ** 2 }, (_, i) => {
    const column = Math.floor((i % (w * factor)) / factor);
    const row = Math.floor((Math.floor(i / (w * factor)) % (h * factor)) / factor);
    const plane = Math.floor(i / (h * w * factor ** 2));
    return x.data[(plane * h + row) * w + column];
  });
  return { dtype: "float32", shape: [n, c, h * factor, w * factor], data };
}

/** Every `factor`th place each way. */
function shrink(x: F32, factor: number): F32 {
  const [n, c, h, w] = x.shape;
  const [rows, columns] = [h / factor, w / factor];
  const data = Float32Array.from({ length: n * c * rows * columns }, (_, i) => {
    const plane = Math.floor(i / (rows * columns));
    const row = Math.floor(i / columns) % rows;
    return x.data[(plane * h + row * factor) * w + (i % columns) * factor];
  });
  return { dtype: "float32", shape: [n, c, rows, columns], data };
}

const difference = (a: F32, b: F32): number =>
  a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i])), 0);

describe.each([
  [5, 7],
  [9, 4],
  [23, 17],
])("%i × %i cells", (height, width) => {
  test.each([
    { size: 4, overlap: 0 },
    { size: 6, overlap: 3 },
    { size: 8, overlap: 1 },
  ])("are what they would be uncut: tiles of $size, $overlap shared", async (options) => {
    const sizes: number[] = [];
    const watched = (x: F32): F32 => {
      sizes.push(...x.shape.slice(2));
      return enlarge(x, 3);
    };
    const latents = torchGenerator(1).randn([1, 2, height, width]);
    const up = await tiled(async (x) => watched(x), latents, { input: 1, output: 3 }, options);
    expect(up.shape).toEqual([1, 2, height * 3, width * 3]);
    expect(difference(up, enlarge(latents, 3))).toBeLessThan(1e-6);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(options.size);

    const pixels = enlarge(latents, 3);
    const down = await tiled(async (x) => shrink(x, 3), pixels, { input: 3, output: 1 }, options);
    expect(difference(down, latents)).toBeLessThan(1e-6);
  });
});

test("large inputs are cut unless the caller says otherwise", () => {
  expect(tilesFor([128, 128], undefined)).toBeUndefined();
  expect(tilesFor([128, 136], undefined)).toEqual({});
  expect(tilesFor([256, 256], false)).toBeUndefined();
  expect(tilesFor([16, 16], { size: 8, overlap: 2 })).toEqual({ size: 8, overlap: 2 });
});

test("an overlap of more than half a tile is refused", async () => {
  const x = torchGenerator(1).randn([1, 1, 9, 9]);
  const run = tiled(async (part) => part, x, { input: 1, output: 1 }, { size: 4, overlap: 3 });
  await expect(run).rejects.toMatchObject({ code: "option" });
});
