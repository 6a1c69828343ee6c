/** What a pipeline tells while it works, in the words that jobs, logs and the studio use too. */
import { NijimiError } from "../errors.ts";
import type { Image } from "../images/image.ts";
import type { Recipe } from "../images/metadata/recipe.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { SafetyVerdict } from "./networks/safety.ts";

type F32 = Tensor<"float32">;

/** A step begins. */
export interface StepStart {
  readonly type: "step-start";
  /** From 0. */
  readonly step: number;
  readonly steps: number;
}

/** What the images would be if sampling ended now, roughly and small. */
export interface StepPreview {
  readonly type: "step-preview";
  readonly step: number;
  readonly steps: number;
  readonly images: readonly Image[];
}

/** A step is done. */
export interface StepEnd {
  readonly type: "step-end";
  readonly step: number;
  readonly steps: number;
  /** Runs of the network so far. */
  readonly evaluations: number;
  /** Noise level reached. */
  readonly sigma: number;
  /** The state [N, C, h, w], of the U-Net's scale. */
  readonly latents: F32;
  /** The estimate of the result. */
  readonly denoised: F32;
}

/** An image is done. */
export interface ImageReady {
  readonly type: "image-ready";
  /** Place in the batch. */
  readonly index: number;
  readonly count: number;
  /** Undefined when noise was given in the place of seeds. */
  readonly seed?: number | bigint;
  readonly image: Image;
  /** The decoder's output [1, 3, H, W], about [−1, 1]. */
  readonly pixels: F32;
  readonly latents: F32;
  /** Everything needed to make the image again. */
  readonly recipe: Recipe;
  /** What the safety checker says, where it was asked. The image is as it was made. */
  readonly safety?: SafetyVerdict;
  /** Remarks, such as that the prompt was cut. */
  readonly notes: readonly string[];
}

/** Anything a pipeline tells. */
export type GenerationEvent = StepStart | StepPreview | StepEnd | ImageReady;

/** A running generation. Ending the iteration early stops it. */
export type Generation = AsyncGenerator<GenerationEvent, void, undefined>;

/**
 * Waits for all images.
 *
 * @param onEvent is told everything on the way
 * @example
 * const [{ image }] = await allImages(textToImage(pipeline, { prompt: "a red cat" }));
 */
export async function allImages(
  generation: Generation,
  onEvent?: (event: GenerationEvent) => void,
): Promise<ImageReady[]> {
  const images: ImageReady[] = [];
  for await (const event of generation) {
    onEvent?.(event);
    if (event.type === "image-ready") images.push(event);
  }
  if (images.length === 0)
    throw new NijimiError("internal", "internal: a generation gave no image.");
  return images;
}
