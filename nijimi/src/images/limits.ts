/** What is refused before anything is allocated for it. */
import { NijimiError } from "../errors.ts";

export interface ImageLimits {
  /** Most pixels of a picture. @default 2^27, which is 134 million: 400 MB of RGB */
  readonly maxPixels?: number;
}

export const MAX_PIXELS = 2 ** 27;

/**
 * Checks a header's size.
 *
 * @throws NijimiError `format` for a side of 0, `memory` for more pixels than allowed
 */
export function checkSize(
  format: string,
  width: number,
  height: number,
  { maxPixels = MAX_PIXELS }: ImageLimits,
): void {
  if (width < 1 || height < 1)
    throw new NijimiError(
      "format",
      `${format}: the picture's size is ${width}×${height}; the file is damaged.`,
    );
  if (width * height > maxPixels)
    throw new NijimiError(
      "memory",
      `${format}: the picture claims ${width}×${height} = ${width * height} pixels; the limit is ${maxPixels}. Raise maxPixels if you trust the file.`,
    );
}
