/**
 * What CLIP and ViT take: the shorter side resized, the middle cut out, numbers normalised.
 *
 * openai/CLIP's and open_clip's `_transform` is the default; transformers' image processors cut one pixel elsewhere
 * when an odd number of pixels is left over.
 */
import { roundHalfEven } from "../internal/round-half-even.ts";
import { NijimiError } from "../errors.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { crop, maxSample, toChannels, type Image } from "./image.ts";
import { resizeImage, type ResizeFilter } from "./resize/resize.ts";

export interface PreprocessOptions {
  /** Side of the square that the network takes. */
  readonly size: number;
  /** Length of the shorter side before cutting. @default size */
  readonly shortestEdge?: number;
  /** @default "bicubic" */
  readonly filter?: ResizeFilter;
  /** Taken from each channel. @default CLIP's */
  readonly mean?: readonly [number, number, number];
  /** What each channel is then divided by. @default CLIP's */
  readonly std?: readonly [number, number, number];
  /** Where an odd pixel goes: torchvision rounds half to even, transformers down. @default "torchvision" */
  readonly centring?: "torchvision" | "transformers";
}

export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
export const CLIP_STD = [0.26862954, 0.26130258, 0.27577711] as const;

/**
 * Images as CLIP's image encoder takes them, [N, 3, size, size].
 *
 * @throws NijimiError `option` for a size below 1
 * @example
 * const x = preprocessForClip([image], { size: 224 });
 */
export function preprocessForClip(
  images: readonly Image[],
  options: PreprocessOptions,
): Tensor<"float32"> {
  const { size, mean = CLIP_MEAN, std = CLIP_STD } = options;
  if (!(Number.isSafeInteger(size) && size >= 1))
    throw new NijimiError(
      "option",
      `preprocessForClip: size is ${size}; expected a whole number from 1.`,
    );
  const plane = size * size;
  const out = new Float32Array(images.length * 3 * plane);
  images.forEach((image, n) => {
    const square = squareOf(image, options);
    const top = maxSample(square);
    for (let c = 0; c < 3; c++)
      for (let pixel = 0; pixel < plane; pixel++) {
        const unit = Math.fround(square.data[pixel * 3 + c] / top);
        out[(n * 3 + c) * plane + pixel] =
          Math.fround(unit - Math.fround(mean[c])) / Math.fround(std[c]);
      }
  });
  return float32([images.length, 3, size, size], out);
}

/** The picture's middle in RGB. Alpha goes after resizing, so that hidden colours do not bleed. */
export function squareOf(
  image: Image,
  { size, shortestEdge = size, filter = "bicubic", centring = "torchvision" }: PreprocessOptions,
): Image {
  const resized = resizeImage(image, { ...shortestSide(image, shortestEdge), filter });
  const offset = (length: number): number =>
    centring === "torchvision"
      ? roundHalfEven((length - size) / 2)
      : Math.floor((length - size) / 2);
  return crop(toChannels(resized, 3), offset(resized.width), offset(resized.height), size, size);
}

/** The size with the given shorter side; the longer one is cut to whole pixels. */
function shortestSide(
  { width, height }: Image,
  edge: number,
): { readonly width: number; readonly height: number } {
  return width <= height
    ? { width: edge, height: Math.trunc((edge * height) / width) }
    : { width: Math.trunc((edge * width) / height), height: edge };
}
