/** A PNG's first chunk: size, depth and kind of colour. */
import { NijimiError } from "../../errors.ts";
import { checkSize, type ImageLimits } from "../limits.ts";
import type { Chunk } from "./chunks.ts";

export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample, or of a palette index: 1, 2, 4, 8 or 16. */
  readonly depth: number;
  readonly colour: PngColour;
  readonly interlaced: boolean;
}

export type PngColour = "grey" | "rgb" | "palette" | "grey-alpha" | "rgb-alpha";

/** By the number in the file: name, samples a pixel, depths that exist. */
const COLOURS: Readonly<
  Record<
    number,
    { readonly name: PngColour; readonly samples: number; readonly depths: readonly number[] }
  >
> = {
  0: { name: "grey", samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { name: "rgb", samples: 3, depths: [8, 16] },
  3: { name: "palette", samples: 1, depths: [1, 2, 4, 8] },
  4: { name: "grey-alpha", samples: 2, depths: [8, 16] },
  6: { name: "rgb-alpha", samples: 4, depths: [8, 16] },
};

/** The number in the file for a kind of colour. */
export function colourNumber(colour: PngColour): number {
  return Number(Object.keys(COLOURS).find((number) => COLOURS[Number(number)].name === colour));
}

/** Samples of a pixel as the file has them; a palette index is one. */
export function samplesOf(colour: PngColour): number {
  return COLOURS[colourNumber(colour)].samples;
}

/**
 * Reads IHDR.
 *
 * @throws NijimiError `format` when a field has no meaning, `memory` when the picture is larger than allowed
 */
export function readHeader([first]: readonly Chunk[], limits: ImageLimits): PngHeader {
  if (first?.type !== "IHDR" || first.data.length !== 13)
    throw new NijimiError(
      "format",
      "PNG: the file does not begin with a header (IHDR) of 13 bytes.",
    );
  const view = new DataView(first.data.buffer, first.data.byteOffset);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, compression, filter, interlace] = first.data.subarray(8);
  const kind = COLOURS[colour];
  if (!kind)
    throw new NijimiError("format", `PNG: colour type ${colour}; expected 0, 2, 3, 4 or 6.`);
  if (!kind.depths.includes(depth))
    throw new NijimiError(
      "format",
      `PNG: ${depth} bits a sample for ${kind.name}; expected ${kind.depths.join(", ")}.`,
    );
  if (compression !== 0 || filter !== 0 || interlace > 1)
    throw new NijimiError(
      "format",
      `PNG: compression ${compression}, filter ${filter}, interlacing ${interlace}; expected 0, 0, and 0 or 1.`,
    );
  checkSize("PNG", width, height, limits);
  return { width, height, depth, colour: kind.name, interlaced: interlace === 1 };
}
