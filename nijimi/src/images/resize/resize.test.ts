import { describe, expect, it } from "vitest";
import { float32 } from "../../tensor/tensor.ts";
import { createImage } from "../image.ts";
import { squareOf, preprocessForClip } from "../preprocess.ts";
import { interpolateBilinear } from "./bilinear.ts";
import { resizeFloats, resizeImage, type ResizeFilter } from "./resize.ts";

const SAMPLES = Array.from(
  { length: 35 },
  (_, i) => ((i % 7) * 37 + Math.floor(i / 7) * 91 + (i % 7) * Math.floor(i / 7) * 13) % 256,
);
const image = createImage(7, 5, 1, Uint8Array.from(SAMPLES));

// Expected samples are Pillow 13's.
describe("resizing", () => {
  it.each<[ResizeFilter, number[], number[]]>([
    [
      "nearest",
      [37, 111, 185, 141, 241, 85, 93, 245, 141, 197, 119, 41],
      [91, 141, 141, 191, 241, 35, 85, 85, 135, 17, 93, 93, 169, 245, 65, 141, 141, 217],
    ],
    [
      "box",
      [19, 111, 204, 165, 136, 128, 55, 160, 179, 153, 119, 86],
      [91, 141, 141, 106, 156, 120, 170, 170, 135, 63, 145, 145, 100, 182, 137, 91, 91, 174],
    ],
    [
      "bilinear",
      [58, 125, 166, 154, 151, 120, 123, 153, 155, 117, 132, 120],
      [79, 112, 125, 132, 171, 120, 133, 152, 147, 87, 138, 135, 116, 175, 144, 132, 135, 147],
    ],
    [
      "hamming",
      [37, 117, 185, 150, 158, 118, 114, 161, 160, 136, 125, 102],
      [75, 115, 124, 130, 175, 103, 129, 148, 151, 77, 142, 135, 105, 179, 137, 127, 129, 158],
    ],
    [
      "bicubic",
      [45, 124, 172, 163, 151, 114, 121, 153, 161, 113, 131, 119],
      [77, 112, 126, 131, 170, 113, 133, 160, 146, 87, 149, 139, 105, 174, 147, 129, 132, 145],
    ],
    [
      "lanczos",
      [41, 126, 170, 171, 151, 109, 119, 153, 166, 107, 133, 118],
      [75, 110, 125, 134, 170, 110, 131, 167, 145, 88, 157, 142, 103, 175, 151, 124, 131, 141],
    ],
  ])("%s gives Pillow's samples", (filter, smaller, wider) => {
    expect([...resizeImage(image, { width: 3, height: 4, filter }).data]).toEqual(smaller);
    expect([...resizeImage(image, { width: 9, height: 2, filter }).data]).toEqual(wider);
  });

  it("premultiplies alpha meanwhile", () => {
    const rows = (row: number) => SAMPLES.slice(7 * row, 7 * row + 7);
    const upsideDown = [4, 3, 2, 1, 0].flatMap(rows);
    const samples = SAMPLES.flatMap((value, i) => [
      value,
      upsideDown[i],
      255 - value,
      Math.floor(value / 2) + 100,
    ]);
    const resized = resizeImage(createImage(7, 5, 4, Uint8Array.from(samples)), {
      width: 2,
      height: 2,
    });
    expect([...resized.data]).toEqual([
      135, 140, 117, 160, 156, 149, 98, 171, 148, 129, 108, 165, 156, 151, 99, 170,
    ]);
  });

  it("takes 16 bits, and a part of the image", () => {
    const deep = createImage(
      7,
      5,
      1,
      Uint16Array.from(SAMPLES, (value) => value * 200 + 13),
    );
    expect([...resizeImage(deep, { width: 3, height: 2 }).data]).toEqual([
      21555, 27878, 28895, 24916, 28792, 27363,
    ]);
    expect([...resizeImage(image, { width: 2, height: 2, box: [0.5, 1.25, 6, 4] }).data]).toEqual([
      161, 134, 129, 154,
    ]);
  });

  it("leaves an image of that size as it is, and a constant one constant", () => {
    expect(resizeImage(image, { width: 7, height: 5 })).toBe(image);
    const constant = createImage(5, 5, 3, new Uint8Array(75).fill(200));
    for (const filter of ["box", "bicubic", "lanczos"] as const)
      expect(new Set(resizeImage(constant, { width: 9, height: 3, filter }).data)).toEqual(
        new Set([200]),
      );
  });

  it("keeps floats beyond the range of samples", () => {
    const plane = { width: 4, height: 1, channels: 1, data: Float32Array.of(0, 0, 1000, 1000) };
    const { data } = resizeFloats(plane, { width: 8, height: 1 });
    expect(Math.min(...data)).toBeLessThan(0);
    expect(Math.max(...data)).toBeGreaterThan(1000);
  });

  it("says what is wrong", () => {
    expect(() =>
      resizeImage(image, { width: 3, height: 3, filter: "cubic" as ResizeFilter }),
    ).toThrow(/Did you mean "bicubic"/);
    expect(() => resizeImage(image, { width: 0, height: 3 })).toThrow(/at least 1/);
    expect(() => resizeImage(image, { width: 1, height: 3, box: [0, 0, 8, 5] })).toThrow(
      /not a part of 7×5/,
    );
  });
});

describe("bilinear interpolation of tensors", () => {
  const ramp = float32([1, 1, 1, 4], [0, 1, 2, 3]);
  const at = (options: object): number[] => [
    ...interpolateBilinear(ramp, { height: 1, width: 8, ...options }).data,
  ];

  it("puts centres where the framework puts them", () => {
    expect(at({ halfPixelCentres: false })).toEqual([0, 0.5, 1, 1.5, 2, 2.5, 3, 3]); // TensorFlow 1
    expect(at({})).toEqual([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]); // torch
    expect(at({ alignCorners: true }).map((value) => Number(value.toFixed(4)))).toEqual([
      0, 0.4286, 0.8571, 1.2857, 1.7143, 2.1429, 2.5714, 3,
    ]);
  });

  it("refuses what is no batch of planes", () => {
    expect(() => interpolateBilinear(float32([4], [0, 1, 2, 3]), { height: 1, width: 1 })).toThrow(
      /\[N, C, H, W\]/,
    );
  });
});

describe("preparing pictures for CLIP", () => {
  it("takes the middle of the picture", () => {
    const wide = createImage(
      9,
      3,
      3,
      Uint8Array.from({ length: 81 }, (_, i) => Math.floor(i / 3) % 9),
    );
    expect([...squareOf(wide, { size: 3 }).data.filter((_, i) => i % 3 === 0)]).toEqual([
      3, 4, 5, 3, 4, 5, 3, 4, 5,
    ]);
  });

  it("cuts an odd pixel as torchvision or as transformers does", () => {
    const wide = createImage(
      6,
      3,
      3,
      Uint8Array.from({ length: 54 }, (_, i) => Math.floor(i / 3) % 6),
    );
    expect(squareOf(wide, { size: 3 }).data[0]).toBe(2);
    expect(squareOf(wide, { size: 3, centring: "transformers" }).data[0]).toBe(1);
  });

  it("normalises", () => {
    const white = createImage(5, 4, 1, new Uint8Array(20).fill(255));
    const { shape, data } = preprocessForClip([white], { size: 2 });
    expect(shape).toEqual([1, 3, 2, 2]);
    expect(data[0]).toBeCloseTo((1 - 0.48145466) / 0.26862954, 6);
    expect(data[8]).toBeCloseTo((1 - 0.40821073) / 0.27577711, 6);
  });
});
