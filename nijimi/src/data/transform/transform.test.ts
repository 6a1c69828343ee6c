import { describe, expect, test } from "vitest";
import { isNijimiError } from "../../errors.ts";
import type { Raster } from "../sample.ts";
import type { ImageOptions } from "./options.ts";
import { toPlanes } from "./planes.ts";
import { resample } from "./resample.ts";
import { checkImageOptions, prepare } from "./transform.ts";

/** A picture whose red is 10·x, green 10·y, blue 7. */
function gradient(width: number, height: number): Raster {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++)
    data.set([10 * (i % width), 10 * Math.floor(i / width), 7], 3 * i);
  return { width, height, channels: 3, data };
}

const unit = (value: number) => Math.fround(value / 127.5 - 1);
const image = (raster: Raster, options: ImageOptions, seed = 1n) =>
  prepare(raster, undefined, options, seed).image;
const plane = (x: Float32Array, channel: number) =>
  x.subarray((channel * x.length) / 3, ((channel + 1) * x.length) / 3);

describe("from picture to planes", () => {
  test("a picture of the right size keeps its values exactly, 0 at −1 and 255 at 1", () => {
    const x = image(gradient(4, 4), { size: 4 });
    expect([...x.subarray(0, 4)]).toEqual([0, 10, 20, 30].map(unit));
    expect([...x.subarray(16, 20)]).toEqual([0, 0, 0, 0].map(unit));
    expect(x[47]).toBe(unit(7));
    const ends = { width: 2, height: 1, channels: 1, data: Uint8Array.of(0, 255) } as const;
    expect([...image(ends, { size: [1, 2], channels: 1 })]).toEqual([-1, 1]);
  });

  test("transparent pixels show the stated background", () => {
    const data = Uint8Array.of(100, 0, 200, 51, 9, 9, 9, 0);
    const raster = { width: 2, height: 1, channels: 4, data } as const;
    const { planes } = toPlanes(raster, 3, [10, 20, 30]);
    expect(planes.map((p) => p[0])).toEqual(
      [100 * 0.2 + 10 * 0.8, 20 * 0.8, 200 * 0.2 + 30 * 0.8].map(Math.fround),
    );
    expect(planes.map((p) => p[1])).toEqual([10, 20, 30]);
    expect(toPlanes(raster, 4, [10, 20, 30]).planes.map((p) => p[0])).toEqual([100, 0, 200, 51]);
    expect(plane(image(raster, { size: [1, 2] }), 0)[1]).toBe(1); // white unless said otherwise
  });

  test("grey pictures become RGB, RGB becomes grey by Rec. 601", () => {
    const grey = { width: 1, height: 1, channels: 2, data: Uint8Array.of(80, 255) } as const;
    expect(toPlanes(grey, 3, [0, 0, 0]).planes.map((p) => p[0])).toEqual([80, 80, 80]);
    const red = { width: 1, height: 1, channels: 3, data: Uint8Array.of(200, 0, 0) } as const;
    expect(toPlanes(red, 1, [0, 0, 0]).planes[0][0]).toBeCloseTo(59.8, 4);
  });

  test("crop keeps the middle, pad the whole, stretch distorts", () => {
    const wide = gradient(9, 3);
    expect([...plane(image(wide, { size: 3 }), 0).subarray(0, 3)]).toEqual([30, 40, 50].map(unit));
    const padded = image(wide, { size: 9, fit: "pad", background: [1, 2, 3] });
    expect(plane(padded, 1)[0]).toBe(unit(2));
    expect([...plane(padded, 0).subarray(27, 30)]).toEqual([0, 10, 20].map(unit));
    const stretched = plane(image(wide, { size: 3, fit: "stretch", filter: "box" }), 0);
    [10, 40, 70].forEach((value, i) => expect(stretched[i]).toBeCloseTo(unit(value), 5));
  });
});

describe("resampling", () => {
  const whole = (w: number, h: number) => ({ left: 0, top: 0, width: w, height: h });

  test.each(["box", "bilinear", "bicubic", "lanczos"] as const)(
    "%s keeps constants and means",
    (filter) => {
      const flat = new Float32Array(35).fill(9);
      for (const side of [2, 5, 12])
        for (const v of resample(flat, 7, 5, whole(7, 5), side, side, filter))
          expect(v).toBeCloseTo(9, 4);
    },
  );

  test("matches PIL", () => {
    // PIL.Image.fromarray(float32 arange(8)² as a row).resize((3, 1), filter)
    const row = Float32Array.from({ length: 8 }, (_, i) => i * i);
    const expected = {
      bilinear: [2.0526316, 13.4523811, 35.578949],
      bicubic: [1.0357935, 12.7185593, 37.4852829],
      lanczos: [0.65746, 12.25, 38.3014641],
      box: [5 / 3, 12.5, 110 / 3],
    } as const;
    for (const [filter, values] of Object.entries(expected)) {
      const got = resample(row, 8, 1, whole(8, 1), 3, 1, filter as "box");
      values.forEach((value, i) => expect(got[i], filter).toBeCloseTo(value, 4));
    }
  });

  test("a box between pixels", () => {
    const row = Float32Array.of(0, 10, 20, 30);
    const box = { left: 0.5, top: 0, width: 2, height: 1 };
    expect([...resample(row, 4, 1, box, 2, 1, "bilinear")]).toEqual([5, 15]);
  });
});

describe("random changes", () => {
  const raster = gradient(20, 16);

  test("depend on the seed only", () => {
    const options = {
      size: 8,
      augment: {
        flip: 0.5,
        crop: { area: [0.3, 1], ratio: [0.8, 1.25] },
        rotate: 20,
        elastic: { sigma: 1 },
        color: { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.1 },
      },
    } as const;
    expect(image(raster, options, 5n)).toEqual(image(raster, options, 5n));
    expect(image(raster, options, 5n)).not.toEqual(image(raster, options, 6n));
    for (let seed = 0n; seed < 50n; seed++)
      for (const v of image(raster, options, seed))
        expect(Math.abs(v)).toBeLessThanOrEqual(1 + 1e-6);
  });

  test("a mirror image has its columns reversed, and half of them are mirrored", () => {
    const size = 8;
    const plain = image(raster, { size });
    let mirrored = 0;
    for (let seed = 0n; seed < 200n; seed++) {
      const x = image(raster, { size, augment: { flip: 0.5 } }, seed);
      const same = x.every((v, i) => v === plain[i]);
      if (!same) for (let i = 0; i < size; i++) expect(x[i]).toBe(plain[size - 1 - i]);
      mirrored += same ? 0 : 1;
    }
    expect(mirrored).toBeGreaterThan(70);
    expect(mirrored).toBeLessThan(130);
  });

  test("elastic deformation moves pixels by about its standard deviation", () => {
    const big = gradient(25, 25);
    const still = plane(image(big, { size: 25 }), 0);
    const shifts: number[] = [];
    for (let seed = 0n; seed < 40n; seed++) {
      const moved = plane(image(big, { size: 25, augment: { elastic: { sigma: 1 } } }, seed), 0);
      const centre = 12 * 25 + 12; // the middle of the coarse grid: red is 10·x
      shifts.push(((moved[centre] - still[centre]) * 127.5) / 10);
    }
    const deviation = Math.sqrt(shifts.reduce((a, b) => a + b * b, 0) / shifts.length);
    expect(deviation).toBeGreaterThan(0.6);
    expect(deviation).toBeLessThan(1.4);
  });

  test("both pictures of a sample move alike; masks keep their classes", () => {
    const mask = {
      ...raster,
      channels: 1,
      data: Uint8Array.from({ length: 320 }, (_, i) => i % 3),
    } as const;
    const augment = { flip: 0.5, crop: { area: [0.3, 0.9] }, elastic: { sigma: 1 } } as const;
    const pair = prepare(raster, raster, { size: 8, augment, filter: "nearest" }, 3n);
    expect(pair.target).toEqual(pair.image);
    const labelled = prepare(raster, mask, { size: 8, augment, target: "mask" }, 3n);
    expect(labelled.target).toHaveLength(64);
    for (const v of labelled.target!) expect([0, 1, 2]).toContain(v);
  });

  test("a full turn of hue and factors of one change nothing", () => {
    const plain = image(raster, { size: 8 });
    const tiny = image(raster, { size: 8, augment: { color: { hue: 1e-6, saturation: 1e-6 } } });
    plain.forEach((v, i) => expect(tiny[i]).toBeCloseTo(v, 1.5));
  });

  test("refuses options that make no sense", () => {
    for (const options of [
      { size: 0 },
      { size: 8, augment: { crop: { area: [0, 1] as const } } },
      { size: 8, augment: { elastic: { sigma: 1, grid: 1 } } },
    ])
      try {
        checkImageOptions(options);
        expect.unreachable();
      } catch (error) {
        expect(isNijimiError(error)).toBe(true);
      }
  });
});
