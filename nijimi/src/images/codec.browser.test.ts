/** The browser's codecs: the same pictures as in Node, also under alpha, and the recipe in every format. */
import { describe, expect, it } from "vitest";
import { decodeImage, encodeImage } from "./codec.ts";
import { createImage, type Image } from "./image.ts";
import { withJpegExif } from "./jpeg.ts";
import { readMetadata } from "./metadata/read.ts";
import { createRecipe } from "./metadata/recipe.ts";
import { recipeTexts } from "./metadata/write.ts";

const fromBase64 = (text: string): Uint8Array =>
  Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** 4×3, RGBA, without loss: samples are (i · 53) mod 256, alpha is 0, 1, 128, 255 in turn. */
const WEBP = fromBase64(
  "UklGRlQAAABXRUJQVlA4TEcAAAAvA4AAEF9ApG0by1lFHI5I24ZWxOH8K7koIm3bGK2Iw2k4wSQN7fF1+Rb7j1SF345UhRVYBQRBtk0yhTld4U5XuHhE/8OXBQA=",
);

/** 16×8 in CMYK, by Pillow: its left half (200, 30, 60, 40), its right half (10, 120, 250, 90). */
const CMYK = fromBase64(
  "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB/8AAFAgACAAQBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAoLCf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsAAD8ANuYQQwVwr4CXpB7G9//Z",
);

/** EXIF that says nothing but "turn right". */
const TURN_RIGHT = Uint8Array.of(
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
  6,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
);

function smooth(): Image {
  return createImage(
    24,
    16,
    3,
    Uint8Array.from(
      { length: 24 * 16 * 3 },
      (_, i) => 40 + (Math.floor(i / 3) % 24) * 6 + (i % 3) * 20,
    ),
  );
}

describe("pictures in the browser", () => {
  it("keep colours under alpha", async () => {
    const expected = Array.from({ length: 48 }, (_, i) =>
      i % 4 === 3 ? [0, 1, 128, 255][(i >> 2) & 3] : (i * 53) & 255,
    );
    const image = await decodeImage(WEBP);
    expect([image.width, image.height, image.channels]).toEqual([4, 3, 4]);
    expect([...image.data]).toEqual(expected);
  });

  it("in CMYK have the colours that Pillow gives them", async () => {
    const { width, height, channels, data } = await decodeImage(CMYK);
    expect([width, height, channels]).toEqual([16, 8, 3]);
    const pixels = [...data.slice(0, 3), ...data.slice(-3)];
    const expected = [46, 190, 164, 159, 87, 3];
    // Browsers round down.
    const differences = pixels.map((sample, i) => Math.abs(sample - expected[i]));
    expect(Math.max(...differences)).toBeLessThanOrEqual(1);
  });

  it.each(["png", "jpeg", "webp"] as const)(
    "come back from %s with their recipe",
    async (format) => {
      const image = smooth();
      const recipe = createRecipe({ prompt: "a fox 富士山", seed: 7 });
      const bytes = await encodeImage(image, {
        format,
        quality: 95,
        metadata: recipeTexts(recipe),
      });
      expect(readMetadata(bytes).recipe).toEqual(recipe);
      const back = await decodeImage(bytes);
      const largest = Math.max(
        ...Array.from(back.data, (sample, i) => Math.abs(sample - image.data[i])),
      );
      expect(largest).toBeLessThanOrEqual(format === "png" ? 0 : 8);
    },
  );

  it("are turned once as their EXIF says", async () => {
    const bytes = withJpegExif(await encodeImage(smooth(), { format: "jpeg" }), TURN_RIGHT);
    expect(await decodeImage(bytes)).toMatchObject({ width: 16, height: 24 });
    expect(await decodeImage(bytes, { orient: false })).toMatchObject({ width: 24, height: 16 });
  });

  it("of 16 bits stay so", async () => {
    const image = createImage(2, 1, 4, Uint16Array.of(1, 2, 3, 0, 65535, 40000, 257, 9));
    expect(await decodeImage(await encodeImage(image))).toEqual(image);
  });

  it("are refused when damaged or not written here", async () => {
    const bytes = await encodeImage(smooth(), { format: "jpeg" });
    await expect(decodeImage(bytes.subarray(0, 200))).rejects.toMatchObject({
      name: "NijimiError",
    });
    await expect(encodeImage(smooth(), { format: "avif" })).rejects.toThrow(/does not write it/);
  });
});
