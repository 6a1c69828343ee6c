/** Between images and the tensors that networks take: NCHW, in [0, 1] or [−1, 1]. */
import { roundHalfEven } from "../internal/round-half-even.ts";
import { NijimiError, unknownName } from "../errors.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import {
  createImage,
  maxSample,
  sampleArray,
  toChannels,
  type BitDepth,
  type Channels,
  type Image,
} from "./image.ts";

/** `"unit"`: [0, 1]. `"signed"`: [−1, 1], which diffusion models take. */
export const PIXEL_RANGES = ["unit", "signed"] as const;

export type PixelRange = (typeof PIXEL_RANGES)[number];

export interface ToTensorOptions {
  /** @default "signed" */
  readonly range?: PixelRange;
  /** @default 3 */
  readonly channels?: Channels;
}

/**
 * Images of one size as a tensor [N, C, H, W].
 *
 * @throws NijimiError `shape` when there is no image or the sizes differ
 * @example
 * const x = imagesToTensor([await decodeImage(bytes)]); // [1, 3, H, W] in [−1, 1]
 */
export function imagesToTensor(
  images: readonly Image[],
  { range = "signed", channels = 3 }: ToTensorOptions = {},
): Tensor<"float32"> {
  if (!PIXEL_RANGES.includes(range)) throw unknownName("pixel range", range, PIXEL_RANGES);
  const [first] = images;
  if (!first) throw new NijimiError("shape", "imagesToTensor: there is no image.");
  const { width, height } = first;
  const different = images.find((image) => image.width !== width || image.height !== height);
  if (different)
    throw new NijimiError(
      "shape",
      `imagesToTensor: images of ${width}×${height} and ${different.width}×${different.height}; resize them to one size.`,
    );
  const plane = width * height;
  const out = new Float32Array(images.length * channels * plane);
  images.forEach((image, n) => {
    const { data } = toChannels(image, channels);
    const top = maxSample(image);
    for (let c = 0; c < channels; c++)
      for (let pixel = 0; pixel < plane; pixel++) {
        const unit = Math.fround(data[pixel * channels + c] / top);
        out[(n * channels + c) * plane + pixel] = range === "unit" ? unit : 2 * unit - 1;
      }
  });
  return float32([images.length, channels, height, width], out);
}

export interface FromTensorOptions {
  /** What the numbers mean; values outside are clamped. @default "signed" */
  readonly range?: PixelRange;
  /** @default 8 */
  readonly bitDepth?: BitDepth;
  /** To the nearest sample, as diffusers; or cut off, as OpenAI's codes: ⌊(x + 1)·127.5⌋. @default "nearest" */
  readonly rounding?: "nearest" | "truncate";
}

/**
 * Images of a tensor [N, C, H, W] (or [C, H, W]) with 1 to 4 channels; numbers are rounded to the nearest sample,
 * half to even, in float32 as diffusers does.
 *
 * @throws NijimiError `shape` when the tensor is not of images, `numeric` when it holds NaN
 */
export function tensorToImages(
  { shape, data }: Tensor<"float32">,
  { range = "signed", bitDepth = 8, rounding = "nearest" }: FromTensorOptions = {},
): Image[] {
  if (!PIXEL_RANGES.includes(range)) throw unknownName("pixel range", range, PIXEL_RANGES);
  const [count, channels, height, width] = shape.length === 3 ? [1, ...shape] : shape;
  if ((shape.length !== 3 && shape.length !== 4) || channels < 1 || channels > 4)
    throw new NijimiError(
      "shape",
      `tensorToImages: a tensor [${shape}]; expected [N, C, H, W] with 1 to 4 channels.`,
    );
  const plane = width * height;
  const top = maxSample({ bitDepth });
  return Array.from({ length: count }, (_, n) => {
    const out = sampleArray({ bitDepth }, plane * channels);
    for (let c = 0; c < channels; c++)
      for (let pixel = 0; pixel < plane; pixel++) {
        const value = data[(n * channels + c) * plane + pixel];
        if (Number.isNaN(value))
          throw new NijimiError(
            "numeric",
            `tensorToImages: image ${n} holds NaN; the network overflowed or its weights are damaged.`,
          );
        const unit = range === "unit" ? value : Math.fround(Math.fround(value / 2) + 0.5);
        const sample = Math.fround(Math.min(1, Math.max(0, unit)) * top);
        out[pixel * channels + c] =
          rounding === "truncate" ? Math.trunc(sample) : roundHalfEven(sample);
      }
    return createImage(width, height, channels as Channels, out);
  });
}
