/**
 * Hires fix, as the A1111 web UI calls it: a picture of the size that the network knows, enlarged as latents or as
 * pixels, then noised part of the way and denoised again at the new size.
 */
import { NijimiError, unknownName } from "../errors.ts";
import { imagesToTensor, tensorToImages } from "../images/tensor.ts";
import { resizeImage } from "../images/resize/resize.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Generation } from "./events.ts";
import { encodePicture } from "./image-to-image.ts";
import { type Job, prepare, type RunOptions } from "./job.ts";
import type { Pipeline } from "./pipeline.ts";
import type { TextToImageRequest } from "./request.ts";
import { bilinear, nearest, resizeTensor } from "./resize.ts";
import { decode, denoise } from "./sampling/denoise.ts";
import { noisedStart } from "./text-to-image.ts";

type F32 = Tensor<"float32">;

/** How the first picture is enlarged: as latents, or decoded, resized by a filter, and encoded again. */
export const HIRES_UPSCALERS = ["latent", "latent-nearest", "bicubic", "lanczos"] as const;

export type HiresUpscaler = (typeof HIRES_UPSCALERS)[number];

/** The second pass. */
export interface HiresOptions {
  /** @default 2 */
  readonly scale?: number;
  /** Share of the noise in the second pass. @default 0.7 */
  readonly strength?: number;
  /** @default the first pass's */
  readonly steps?: number;
  /** @default "latent" */
  readonly upscaler?: HiresUpscaler;
}

/** A request with a second pass. */
export interface HiresRequest extends TextToImageRequest {
  readonly hires: HiresOptions;
}

/**
 * Pictures larger than the network was trained for, as events of both passes.
 *
 * @throws NijimiError `option` for a scale that gives no size of latents
 * @example
 * const [{ image }] = await allImages(hiresFix(pipeline, { prompt: "a red cat", hires: { scale: 1.5 } }));
 */
export async function* hiresFix(
  pipeline: Pipeline,
  request: HiresRequest,
  options: RunOptions = {},
): Generation {
  const { scale = 2, strength = 0.7, steps = request.steps, upscaler = "latent" } = request.hires;
  if (!HIRES_UPSCALERS.includes(upscaler))
    throw unknownName("hires upscaler", upscaler, HIRES_UPSCALERS);
  if (!(scale >= 1 && scale <= 8))
    throw new NijimiError("option", `hires: scale must lie between 1 and 8; got ${scale}.`);
  const { width = pipeline.defaultSize, height = pipeline.defaultSize } = request;
  const { factor } = pipeline.autoencoder;
  const rounded = (size: number): number => Math.round((size * scale) / factor) * factor;
  const target = { width: rounded(width), height: rounded(height) };

  const first = await prepare(pipeline, request, { width, height }, options);
  const small = yield* denoise(first, noisedStart(first));
  const second = await prepare(
    pipeline,
    { ...request, steps, latents: undefined, seed: first.noise.seeds ?? request.seed },
    {
      ...target,
      strength,
      task: "hires-fix",
      recipe: { width, height, strength: undefined, hires: { scale, strength, steps, upscaler } },
    },
    options,
  );
  const large = await enlarge(second, small, upscaler);
  const x = second.plan.addNoise(large, second.noise.start(), second.window.first);
  yield* decode(second, yield* denoise(second, x));
}

async function enlarge(job: Job, latents: F32, upscaler: HiresUpscaler): Promise<F32> {
  const [, , height, width] = job.latentShape;
  if (upscaler === "latent") return resizeTensor(latents, height, width, bilinear);
  if (upscaler === "latent-nearest") return resizeTensor(latents, height, width, nearest);
  const pixels = await job.pipeline.autoencoder.decode(latents, job.request.tiles);
  const size = { width: job.width, height: job.height, filter: upscaler };
  const pictures = tensorToImages(pixels).map((image) => resizeImage(image, size));
  return encodePicture(job, imagesToTensor(pictures));
}
