/** Turning a picture as its EXIF says: eight ways, numbered 1 to 8. */
import { createImage, sampleArray, type Image } from "./image.ts";

/** By number − 1: mirrored left to right, upside down, and rows for columns first. */
const ORIENTATIONS = [
  { mirror: false, flip: false, transpose: false },
  { mirror: true, flip: false, transpose: false },
  { mirror: true, flip: true, transpose: false },
  { mirror: false, flip: true, transpose: false },
  { mirror: false, flip: false, transpose: true },
  { mirror: true, flip: false, transpose: true },
  { mirror: true, flip: true, transpose: true },
  { mirror: false, flip: true, transpose: true },
] as const;

/** The picture as it should be seen. A number that means nothing leaves it as it is, as viewers do. */
export function applyOrientation(image: Image, orientation: number): Image {
  const turn = ORIENTATIONS[orientation - 1];
  if (!turn || orientation === 1) return image;
  const { width, height, channels, data } = image;
  const [outWidth, outHeight] = turn.transpose ? [height, width] : [width, height];
  const out = sampleArray(image, data.length);
  for (let y = 0; y < outHeight; y++)
    for (let x = 0; x < outWidth; x++) {
      const column = turn.mirror ? outWidth - 1 - x : x;
      const row = turn.flip ? outHeight - 1 - y : y;
      const from = (turn.transpose ? column * width + row : row * width + column) * channels;
      for (let c = 0; c < channels; c++) out[(y * outWidth + x) * channels + c] = data[from + c];
    }
  return createImage(outWidth, outHeight, channels, out);
}
