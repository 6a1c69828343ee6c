/** Pictures side by side in one PNG. */
import { createImage, type Channels } from "../../images/image.ts";
import { encodePng } from "../../images/png/encode.ts";
import type { Preview } from "../recipe.ts";

const GAP = 2;

/** A sheet of a preview's pictures, row by row. */
export function encodeSheet({ images: { shape, data }, columns }: Preview): Uint8Array {
  const [count, channels, height, width] = shape;
  const across = Math.min(count, columns ?? Math.ceil(Math.sqrt(count)));
  const down = Math.ceil(count / across);
  const [sheetWidth, sheetHeight] = [across * (width + GAP) + GAP, down * (height + GAP) + GAP];
  const out = new Uint8Array(sheetWidth * sheetHeight * channels).fill(128);
  for (let n = 0; n < count; n++) {
    const [left, top] = [
      GAP + (n % across) * (width + GAP),
      GAP + Math.floor(n / across) * (height + GAP),
    ];
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const value = data[((n * channels + c) * height + y) * width + x];
          out[((top + y) * sheetWidth + left + x) * channels + c] = Math.round(
            Math.min(255, Math.max(0, (value + 1) * 127.5)),
          );
        }
  }
  return encodePng(createImage(sheetWidth, sheetHeight, channels as Channels, out));
}
