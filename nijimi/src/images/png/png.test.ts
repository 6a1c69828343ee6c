import { zlibSync } from "fflate";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { createImage, type Channels, type Image } from "../image.ts";
import { readChunks, writeChunks } from "./chunks.ts";
import { decodePng } from "./decode.ts";
import { encodePng } from "./encode.ts";

function testImage(width: number, height: number, channels: Channels, bitDepth: 8 | 16): Image {
  const samples = Array.from(
    { length: width * height * channels },
    (_, i) => (i * 7919) % (bitDepth === 8 ? 256 : 65536),
  );
  return createImage(
    width,
    height,
    channels,
    bitDepth === 8 ? Uint8Array.from(samples) : Uint16Array.from(samples),
  );
}

const CHANNELS: readonly Channels[] = [1, 2, 3, 4];

/** A PNG of small depth, made by hand: header, optional chunks, one unfiltered row. */
function handmade(
  depth: number,
  colour: number,
  width: number,
  row: number[],
  more: { type: string; data: Uint8Array }[] = [],
): Uint8Array {
  const header = Uint8Array.of(0, 0, 0, width, 0, 0, 0, 1, depth, colour, 0, 0, 0);
  return writeChunks([
    { type: "IHDR", data: header },
    ...more,
    { type: "IDAT", data: zlibSync(Uint8Array.of(0, ...row)) },
    { type: "IEND", data: new Uint8Array(0) },
  ]);
}

describe("PNG", () => {
  it.each([8, 16] as const)("is lossless with %i bits, plain and interlaced", async (bitDepth) => {
    for (const channels of CHANNELS) {
      const image = testImage(13, 11, channels, bitDepth);
      const bytes = encodePng(image);
      expect(decodePng(bytes)).toEqual(image);
      const space =
        channels < 3 ? (bitDepth === 8 ? "b-w" : "grey16") : bitDepth === 8 ? "srgb" : "rgb16";
      const interlaced = await sharp(bytes)
        .toColourspace(space)
        .png({ progressive: true })
        .toBuffer();
      expect(decodePng(interlaced)).toEqual(image);
    }
  });

  it("is read by others", async () => {
    const image = testImage(9, 7, 4, 8);
    const { data } = await sharp(encodePng(image)).raw().toBuffer({ resolveWithObject: true });
    expect(Uint8Array.from(data)).toEqual(image.data);
  });

  it("scales small depths up", () => {
    expect([...decodePng(handmade(1, 0, 3, [0b10100000])).data]).toEqual([255, 0, 255]);
    expect([...decodePng(handmade(2, 0, 4, [0b00011011])).data]).toEqual([0, 85, 170, 255]);
    expect([...decodePng(handmade(4, 0, 2, [0x0f])).data]).toEqual([0, 255]);
  });

  it("looks colours up and knows transparent ones", () => {
    const palette = { type: "PLTE", data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    expect([...decodePng(handmade(8, 3, 2, [1, 0], [palette])).data]).toEqual([4, 5, 6, 1, 2, 3]);
    const alpha = { type: "tRNS", data: Uint8Array.of(128) };
    expect([...decodePng(handmade(8, 3, 2, [1, 0], [palette, alpha])).data]).toEqual([
      4, 5, 6, 255, 1, 2, 3, 128,
    ]);
    const key = { type: "tRNS", data: Uint8Array.of(0, 7) };
    expect([...decodePng(handmade(8, 0, 2, [7, 8], [key])).data]).toEqual([7, 0, 8, 255]);
    expect(() => decodePng(handmade(8, 3, 1, [2], [palette]))).toThrow(
      /colour 2 of a palette of 2/,
    );
    expect(() => decodePng(handmade(8, 3, 1, [0]))).toThrow(/no palette/);
  });

  it("is refused when damaged, wherever that is", () => {
    const bytes = encodePng(testImage(9, 7, 3, 8));
    for (let at = 0; at < bytes.length; at += 3) {
      const damaged = bytes.slice();
      damaged[at] ^= 0x55;
      expect(() => decodePng(damaged)).toThrow(/^PNG: /);
    }
    for (let length = 0; length < bytes.length; length += 5)
      expect(() => decodePng(bytes.subarray(0, length))).toThrow(/^PNG: /);
  });

  it("takes no more memory than its size says", () => {
    const bomb = writeChunks([
      { type: "IHDR", data: Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 2, 8, 0, 0, 0, 0) },
      { type: "IDAT", data: zlibSync(new Uint8Array(50_000_000), { level: 9 }) },
      { type: "IEND", data: new Uint8Array(0) },
    ]);
    const before = process.memoryUsage().arrayBuffers;
    expect([...decodePng(bomb).data]).toEqual([0, 0, 0, 0]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
    const huge = writeChunks([
      {
        type: "IHDR",
        data: Uint8Array.of(0x7f, 255, 255, 255, 0x7f, 255, 255, 255, 8, 6, 0, 0, 0),
      },
      { type: "IEND", data: new Uint8Array(0) },
    ]);
    expect(() => decodePng(huge)).toThrow(/the limit is 134217728/);
    expect(() => decodePng(encodePng(testImage(9, 7, 3, 8)), { maxPixels: 62 })).toThrow(
      /63 pixels; the limit is 62/,
    );
  });

  it("takes the platform's zlib where that works", () => {
    const image = testImage(9, 7, 3, 8);
    const sizes: number[] = [];
    const deflate = (data: Uint8Array): Uint8Array =>
      zlibSync(data, { level: sizes.push(data.length) > 0 ? 9 : 0 });
    const inflate = (_: Uint8Array, size: number): undefined => void sizes.push(size);
    const bytes = encodePng(image, { deflate });
    expect(decodePng(bytes, { inflate })).toEqual(image);
    expect(sizes).toEqual([7 * 28, 7 * 28]);
    expect(readChunks(bytes).map(({ type }) => type)).toEqual(["IHDR", "IDAT", "IEND"]);
  });
});
