/**
 * SDXL's ensemble of experts (arXiv:2307.01952, section 2.5): the base denoises the first part of the way, the
 * refiner, trained on little noise only, goes on from its latents.
 */
import { NijimiError } from "../errors.ts";
import type { Generation } from "./events.ts";
import { prepare, type RunOptions } from "./job.ts";
import type { Pipeline } from "./pipeline.ts";
import { lastPart } from "./recipe.ts";
import type { TextToImageRequest } from "./request.ts";
import { decode, denoise } from "./sampling/denoise.ts";
import { noisedStart } from "./text-to-image.ts";

/** Text to image by two models. */
export interface RefineRequest extends Omit<TextToImageRequest, "denoisingStart" | "denoisingEnd"> {
  /** Share of the way after which the refiner goes on. @default 0.8 */
  readonly refinerStart?: number;
}

/**
 * Pictures that `refiner` finishes, as events of both passes. LoRAs and other adapters are the base's.
 *
 * @throws NijimiError `unsupported` when their latents have not the same channels
 * @example
 * const [{ image }] = await allImages(baseAndRefiner(base, refiner, { prompt: "a red cat", refinerStart: 0.8 }));
 */
export async function* baseAndRefiner(
  base: Pipeline,
  refiner: Pipeline,
  { refinerStart = 0.8, ...request }: RefineRequest,
  options: RunOptions = {},
): Generation {
  const [ours, theirs] = [base, refiner].map(({ unet }) => unet.config.inChannels);
  if (ours !== theirs)
    throw new NijimiError(
      "unsupported",
      `${refiner.name} takes ${theirs} channels and ${base.name} ${ours}; a refiner works on the latents of its base.`,
    );
  const { width = base.defaultSize, height = base.defaultSize } = request;
  const recipe = { extra: { refiner: lastPart(refiner.name), refinerStart } };
  const size = { width, height, recipe };
  const begun = { ...request, denoisingStart: undefined, denoisingEnd: refinerStart };
  const first = await prepare(base, begun, size, options);
  const second = await prepare(
    refiner,
    { ...bare(request), denoisingStart: refinerStart, denoisingEnd: undefined },
    { ...size, withoutLoras: true, noise: first.noise },
    options,
  );
  const half = yield* denoise(first, noisedStart(first));
  const latents = yield* denoise(second, half);
  yield* decode({ ...second, recipe: first.recipe }, latents);
}

/** The request without what belongs to the base's networks. */
function bare(request: TextToImageRequest): TextToImageRequest {
  const { control: _c, adapters: _a, imagePrompts: _i, latents: _l, ...others } = request;
  return others;
}
