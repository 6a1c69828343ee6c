import { describe, expect, it } from "vitest";
import { createImage, crop, flatten, toBitDepth, toChannels } from "./image.ts";
import { imagesToTensor, tensorToImages } from "./tensor.ts";
import { float32 } from "../tensor/tensor.ts";
import { tileImages } from "./grid.ts";
import { applyOrientation } from "./orientation.ts";

const grey = (width: number, height: number, ...data: number[]) =>
  createImage(width, height, 1, Uint8Array.from(data));

describe("images", () => {
  it("refuse samples that do not fit", () => {
    expect(() => createImage(2, 2, 3, new Uint8Array(11))).toThrow(/needs 12 samples; got 11/);
    expect(() => createImage(0, 2, 3, new Uint8Array(0))).toThrow(/is no size/);
  });

  it("become grey as in Pillow", () => {
    const rgb = createImage(4, 1, 3, Uint8Array.of(10, 200, 30, 255, 255, 255, 0, 0, 0, 1, 2, 3));
    expect([...toChannels(rgb, 1).data]).toEqual([124, 255, 0, 2]);
  });

  it("gain and lose channels", () => {
    const image = createImage(1, 1, 2, Uint8Array.of(7, 9));
    expect([...toChannels(image, 4).data]).toEqual([7, 7, 7, 9]);
    expect([...toChannels(image, 3).data]).toEqual([7, 7, 7]);
    expect([...toChannels(grey(1, 1, 5), 4).data]).toEqual([5, 5, 5, 255]);
    expect([...toChannels(createImage(1, 1, 1, Uint16Array.of(5)), 2).data]).toEqual([5, 65535]);
  });

  it("change depth and come back", () => {
    const image = grey(4, 1, 0, 1, 128, 255);
    const deep = toBitDepth(image, 16);
    expect([...deep.data]).toEqual([0, 257, 128 * 257, 65535]);
    expect(toBitDepth(deep, 8)).toEqual(image);
  });

  it("show their background through alpha", () => {
    const image = createImage(3, 1, 2, Uint8Array.of(100, 255, 100, 0, 100, 128));
    expect([...flatten(image, [200]).data]).toEqual([100, 200, 150]);
  });

  it("are cut, with black outside", () => {
    const image = grey(3, 2, 1, 2, 3, 4, 5, 6);
    expect([...crop(image, 1, 0, 2, 2).data]).toEqual([2, 3, 5, 6]);
    expect([...crop(image, -1, 1, 3, 2).data]).toEqual([0, 4, 5, 0, 0, 0]);
    expect([...crop(image, 5, 5, 1, 1).data]).toEqual([0]);
  });

  it("are turned in the eight ways of EXIF", () => {
    const image = grey(3, 2, 1, 2, 3, 4, 5, 6);
    const turned = [1, 2, 3, 4, 5, 6, 7, 8].map((orientation) =>
      [...applyOrientation(image, orientation).data].join(""),
    );
    expect(turned).toEqual([
      "123456",
      "321654",
      "654321",
      "456123",
      "142536",
      "415263",
      "635241",
      "362514",
    ]);
    expect(applyOrientation(image, 6)).toMatchObject({ width: 2, height: 3 });
    expect(applyOrientation(image, 99)).toBe(image);
  });
});

describe("tensors of images", () => {
  it("are planes in the wanted range", () => {
    const image = createImage(2, 1, 3, Uint8Array.of(0, 255, 51, 255, 0, 102));
    const { shape, data } = imagesToTensor([image], { range: "unit" });
    expect(shape).toEqual([1, 3, 1, 2]);
    expect([...data]).toEqual([0, 1, 1, 0, 0.2, 0.4].map(Math.fround));
    expect([...imagesToTensor([image]).data].slice(0, 4)).toEqual([-1, 1, 1, -1]);
  });

  it("give the images back exactly", () => {
    for (const bitDepth of [8, 16] as const)
      for (const range of ["unit", "signed"] as const) {
        const samples = Array.from(
          { length: 48 },
          (_, i) => (i * 7919) % (bitDepth === 8 ? 256 : 65536),
        );
        const image = createImage(
          4,
          4,
          3,
          bitDepth === 8 ? Uint8Array.from(samples) : Uint16Array.from(samples),
        );
        expect(
          tensorToImages(imagesToTensor([image, image], { range }), { range, bitDepth })[1],
        ).toEqual(image);
      }
  });

  it("are clamped and rounded half to even", () => {
    const x = float32([1, 1, 1, 4], [-3, 7, 0.5 / 255, 1.5 / 255]);
    expect([...tensorToImages(x, { range: "unit" })[0].data]).toEqual([0, 255, 0, 2]);
    expect(() => tensorToImages(float32([1, 1, 1, 1], [NaN]))).toThrow(/holds NaN/);
    expect(() => tensorToImages(float32([2, 2], [0, 0, 0, 0]))).toThrow(/expected \[N, C, H, W\]/);
  });
});

describe("grids", () => {
  it("tile images row by row", () => {
    const sheet = tileImages([grey(1, 1, 1), grey(1, 1, 2), grey(1, 1, 3)], {
      columns: 2,
      gap: 1,
      background: 0,
    });
    expect(sheet).toMatchObject({ width: 3, height: 3 });
    expect([...sheet.data]).toEqual([1, 0, 2, 0, 0, 0, 3, 0, 0]);
  });

  it("have the channels and the depth of the richest", () => {
    const sheet = tileImages([grey(1, 1, 1), createImage(1, 1, 3, Uint16Array.of(1, 2, 3))]);
    expect([...sheet.data]).toEqual([257, 257, 257, 1, 2, 3]);
    expect(tileImages([grey(1, 1, 1), createImage(1, 1, 2, Uint8Array.of(9, 8))]).channels).toBe(2);
    expect(() => tileImages([])).toThrow(/no image/);
    expect(() => tileImages([grey(1, 1, 1), grey(2, 1, 1, 2)])).toThrow(/resize them/);
  });
});
