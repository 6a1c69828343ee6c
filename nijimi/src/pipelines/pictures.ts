/** Pictures as a caller gives them, and as the networks take them. */
import { NijimiError } from "../errors.ts";
import type { Image } from "../images/image.ts";
import { imagesToTensor } from "../images/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";

type F32 = Tensor<"float32">;

/** A picture: an image, or numbers in [0, 1] as [N, C, H, W]. */
export type Picture = Image | F32;

/** A picture in [0, 1] with `channels` channels: [N, C, H, W]. */
export function unitTensor(picture: Picture, channels: 1 | 3): F32 {
  if (!("dtype" in picture)) return imagesToTensor([picture], { range: "unit", channels });
  const { shape } = picture;
  if (shape.length !== 4 || shape[1] !== channels)
    throw new NijimiError(
      "shape",
      `A picture given as a tensor must be [N, ${channels}, H, W] in [0, 1]; got [${shape}].`,
    );
  return picture;
}

/** [0, 1] → [−1, 1]. */
export function toSigned(unit: F32): F32 {
  return { ...unit, data: unit.data.map((value) => 2 * value - 1) };
}

/** Height and width of a picture. */
export function sizeOfPicture(picture: Picture): {
  readonly height: number;
  readonly width: number;
} {
  if (!("dtype" in picture)) return picture;
  const [height, width] = picture.shape.slice(-2);
  return { height, width };
}

/**
 * Refuses a picture of another size than the result's.
 *
 * @param what for the message: `"The mask"`
 */
export function requireSize(
  what: string,
  picture: Picture,
  wanted: { readonly height: number; readonly width: number },
): void {
  const { height, width } = sizeOfPicture(picture);
  if (height !== wanted.height || width !== wanted.width)
    throw new NijimiError(
      "option",
      `${what} is ${width}×${height}; expected ${wanted.width}×${wanted.height}, the size of the picture. Resize it first.`,
    );
}

/** Refuses sizes that latents cannot have, and says which would do. */
export function requireMultiple(width: number, height: number, factor: number): void {
  for (const [name, size] of [
    ["width", width],
    ["height", height],
  ] as const) {
    if (Number.isInteger(size) && size >= factor && size % factor === 0) continue;
    const below = Math.max(factor, Math.floor(size / factor) * factor);
    const near = Number.isFinite(size) ? `; ${below} or ${below + factor} would be` : "";
    throw new NijimiError(
      "option",
      `The ${name} must be a multiple of ${factor}; got ${size}, which is not${near}.`,
    );
  }
}
