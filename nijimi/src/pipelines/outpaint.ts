/** Outpainting: the picture on a larger canvas whose new part is inpainted; the old edges are continued for a start. */
import { NijimiError } from "../errors.ts";
import { createImage, type Image, toBitDepth, toChannels } from "../images/image.ts";
import type { Generation } from "./events.ts";
import { inpaint } from "./inpaint.ts";
import type { RunOptions } from "./job.ts";
import type { Pipeline } from "./pipeline.ts";
import type { InpaintRequest } from "./request.ts";

/** Outpainting. */
export interface OutpaintRequest extends Omit<InpaintRequest, "image" | "mask"> {
  readonly image: Image;
  /** Pixels to add on each side. @default 0 */
  readonly left?: number;
  readonly right?: number;
  readonly top?: number;
  readonly bottom?: number;
  /** Pixels of the old picture, along the new parts, that are painted over too, against seams. @default 8 */
  readonly overlap?: number;
}

/**
 * Pictures that continue a picture beyond its edges, as events.
 *
 * @throws NijimiError `option` when nothing is added
 * @example
 * const [{ image }] = await allImages(outpaint(pipeline, { prompt: "a meadow", image: photo, right: 256 }));
 */
export async function* outpaint(
  pipeline: Pipeline,
  request: OutpaintRequest,
  options: RunOptions = {},
): Generation {
  const { image, left = 0, right = 0, top = 0, bottom = 0, overlap = 8, ...others } = request;
  const sides = { left, right, top, bottom };
  for (const [side, pixels] of Object.entries(sides))
    if (!(Number.isInteger(pixels) && pixels >= 0))
      throw new NijimiError(
        "option",
        `outpaint: ${side} must be a whole number ≥ 0; got ${pixels}.`,
      );
  if (left + right + top + bottom === 0)
    throw new NijimiError("option", "outpaint: nothing is added; give left, right, top or bottom.");
  const { canvas, mask } = extended(image, sides, overlap);
  yield* inpaint(pipeline, { ...others, image: canvas, mask }, options);
}

/** The canvas, with the nearest edge pixel where nothing is, and the mask of what is to be painted. */
function extended(
  image: Image,
  sides: Readonly<Record<"left" | "right" | "top" | "bottom", number>>,
  overlap: number,
): { readonly canvas: Image; readonly mask: Image } {
  const { left, right, top, bottom } = sides;
  const { data, width: oldWidth, height: oldHeight } = toBitDepth(toChannels(image, 3), 8);
  const [width, height] = [oldWidth + left + right, oldHeight + top + bottom];
  const pixels = new Uint8Array(3 * width * height);
  const mask = new Uint8Array(width * height);
  const inside = (at: number, length: number, before: number, after: number): boolean =>
    at >= (before > 0 ? overlap : 0) && at < length - (after > 0 ? overlap : 0);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [fromX, fromY] = [x - left, y - top];
      const nearX = Math.min(Math.max(fromX, 0), oldWidth - 1);
      const nearY = Math.min(Math.max(fromY, 0), oldHeight - 1);
      const from = 3 * (nearY * oldWidth + nearX);
      pixels.set(data.subarray(from, from + 3), 3 * (y * width + x));
      const isKept = inside(fromX, oldWidth, left, right) && inside(fromY, oldHeight, top, bottom);
      mask[y * width + x] = isKept ? 0 : 255;
    }
  return {
    canvas: createImage(width, height, 3, pixels),
    mask: createImage(width, height, 1, mask),
  };
}
