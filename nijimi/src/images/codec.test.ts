import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeImage, encodeImage, formatOfName, readImage, writeImage } from "./codec.ts";
import { createImage, type Channels, type Image } from "./image.ts";
import { withJpegExif } from "./jpeg.ts";
import { formatOf, IMAGE_FORMATS, probeImage } from "./probe.ts";
import { withWebpExif } from "./webp.ts";

/** A smooth picture, which lossy formats hardly change. */
function smooth(width: number, height: number, channels: Channels): Image {
  const at = (x: number, y: number, c: number): number =>
    c === 3 || (channels === 2 && c === 1) ? 255 - y * 4 : 60 + c * 30 + x * 3 + y * 2;
  const samples = Array.from({ length: width * height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return at(pixel % width, Math.floor(pixel / width), i % channels);
  });
  return createImage(width, height, channels, Uint8Array.from(samples));
}

/** 16×8 in CMYK, by Pillow: its left half (200, 30, 60, 40), its right half (10, 120, 250, 90). */
const CMYK = Buffer.from(
  "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB/8AAFAgACAAQBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAoLCf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsAAD8ANuYQQwVwr4CXpB7G9//Z",
  "base64",
);

/** EXIF that says nothing but how the picture is to be turned. */
const turned = (orientation: number): Uint8Array =>
  Uint8Array.of(
    0x49,
    0x49,
    42,
    0,
    8,
    0,
    0,
    0,
    1,
    0,
    0x12,
    0x01,
    3,
    0,
    1,
    0,
    0,
    0,
    orientation,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  );

function largestDifference(a: Image, b: Image): number {
  expect([a.width, a.height, a.channels]).toEqual([b.width, b.height, b.channels]);
  return Math.max(...Array.from(a.data, (sample, i) => Math.abs(sample - b.data[i])));
}

describe("encoding and decoding", () => {
  it.each(IMAGE_FORMATS)("%s gives nearly the picture back", async (format) => {
    const image = smooth(24, 16, 3);
    const bytes = await encodeImage(image, { format, quality: 95 });
    expect(formatOf(bytes)).toBe(format);
    expect(probeImage(bytes)).toMatchObject({ format, width: 24, height: 16, orientation: 1 });
    expect(largestDifference(await decodeImage(bytes), image)).toBeLessThanOrEqual(
      format === "png" ? 0 : 6,
    );
  });

  it("webp without loss keeps colours under alpha", async () => {
    const image = createImage(
      4,
      2,
      4,
      Uint8Array.from({ length: 32 }, (_, i) =>
        i % 4 === 3 ? [0, 1, 128, 255][(i >> 2) & 3] : (i * 53) & 255,
      ),
    );
    const bytes = await encodeImage(image, { format: "webp", lossless: true });
    expect(await decodeImage(bytes)).toEqual(image);
  });

  it("jpeg keeps grey grey and shows a background through alpha", async () => {
    const grey = smooth(16, 16, 1);
    expect(
      largestDifference(
        await decodeImage(await encodeImage(grey, { format: "jpeg", quality: 95 })),
        grey,
      ),
    ).toBeLessThanOrEqual(6);
    const clear = createImage(8, 8, 4, new Uint8Array(256));
    const white = await decodeImage(await encodeImage(clear, { format: "jpeg" }));
    expect([...white.data.slice(0, 3)]).toEqual([255, 255, 255]);
  });

  it("jpeg in CMYK has the colours that Pillow gives it", async () => {
    const { width, height, channels, data } = await decodeImage(CMYK);
    expect([width, height, channels]).toEqual([16, 8, 3]);
    expect([...data.slice(0, 3)]).toEqual([46, 190, 164]);
    expect([...data.slice(-3)]).toEqual([159, 87, 3]);
  });

  it("pictures are turned as their EXIF says, unless that is not wanted", async () => {
    const image = smooth(24, 16, 3);
    for (const [format, put] of [
      ["jpeg", withJpegExif],
      ["webp", withWebpExif],
    ] as const) {
      const bytes = put(await encodeImage(image, { format, quality: 95 }), turned(6));
      expect(probeImage(bytes).orientation).toBe(6);
      expect(await decodeImage(bytes)).toMatchObject({ width: 16, height: 24 });
      expect(await decodeImage(bytes, { orient: false })).toMatchObject({ width: 24, height: 16 });
      const reference = await sharp(bytes).autoOrient().raw().toBuffer({ resolveWithObject: true });
      const expected = createImage(16, 24, 3, Uint8Array.from(reference.data));
      expect(largestDifference(await decodeImage(bytes), expected)).toBeLessThanOrEqual(2);
      expect(probeImage(put(bytes, undefined)).orientation).toBe(1);
    }
  });

  it("depth is the file's own or the wanted one", async () => {
    const image = createImage(2, 1, 1, Uint16Array.of(1, 60000));
    const bytes = await encodeImage(image);
    expect(await decodeImage(bytes)).toEqual(image);
    expect([...(await decodeImage(bytes, { bitDepth: 8 })).data]).toEqual([0, 233]);
    expect((await decodeImage(await encodeImage(image, { format: "webp" }))).bitDepth).toBe(8);
  });

  it("files are written by their ending", async () => {
    const folder = await mkdtemp(join(tmpdir(), "nijimi-"));
    try {
      const image = smooth(8, 8, 3);
      await writeImage(join(folder, "a.PNG"), image);
      expect(await readImage(join(folder, "a.PNG"))).toEqual(image);
      await expect(readImage(join(folder, "b.png"))).rejects.toThrow(/cannot be read/);
      await expect(writeImage(join(folder, "no/a.png"), image)).rejects.toThrow(
        /cannot be written/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
    expect(formatOfName("x.jpg")).toBe("jpeg");
    expect(() => formatOfName("x.gif")).toThrow(/Unknown image file ending "gif"/);
  });
});

describe("refusals", () => {
  it("name formats that are not read", () => {
    const file = (...parts: string[]) =>
      Uint8Array.from(parts.join(""), (character) => character.charCodeAt(0));
    expect(() => formatOf(file("GIF89a"))).toThrow(/is a GIF/);
    expect(() => formatOf(file("\0\0\0\x18ftypheic"))).toThrow(/is a HEIC/);
    expect(() => formatOf(file("hello"))).toThrow(/no picture that nijimi knows/);
    expect(() => formatOf(file())).toThrow(/is empty/);
  });

  it.each(["jpeg", "webp", "avif"] as const)(
    "%s is refused with an error of ours wherever it is cut",
    async (format) => {
      const bytes = await encodeImage(smooth(24, 16, 3), { format });
      for (let length = 1; length < bytes.length; length += Math.ceil(bytes.length / 15))
        await expect(decodeImage(bytes.subarray(0, length))).rejects.toMatchObject({
          name: "NijimiError",
        });
      await expect(decodeImage(bytes, { maxPixels: 383 })).rejects.toThrow(
        /384 pixels; the limit is 383/,
      );
    },
  );

  it("tell of wrong options", async () => {
    const image = smooth(4, 4, 3);
    await expect(encodeImage(image, { format: "gif" as "png" })).rejects.toThrow(
      /Unknown image format "gif"/,
    );
    await expect(encodeImage(image, { format: "jpeg", quality: 0 })).rejects.toThrow(/1 to 100/);
    await expect(encodeImage(image, { format: "jpeg", lossless: true })).rejects.toThrow(
      /never lossless/,
    );
  });
});
