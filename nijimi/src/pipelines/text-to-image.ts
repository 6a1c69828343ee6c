/** Text to image: noise, denoised under the prompt, decoded. */
import { combine } from "../diffusion/samplers/arithmetic.ts";
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Generation } from "./events.ts";
import { type Job, prepare, type RunOptions } from "./job.ts";
import { type Pipeline, taskOfChannels } from "./pipeline.ts";
import type { TextToImageRequest } from "./request.ts";
import { decode, denoise } from "./sampling/denoise.ts";

/**
 * Pictures from a prompt, as events.
 *
 * @throws NijimiError `option` for what does not go together, `cancelled` when the signal fires, `numeric` for NaN
 * @example
 * for await (const event of textToImage(pipeline, { prompt: "a red cat", steps: 20, seed: 42 }))
 *   if (event.type === "step-end") console.log(`${event.step + 1}/${event.steps}`);
 */
export async function* textToImage(
  pipeline: Pipeline,
  request: TextToImageRequest,
  options: RunOptions = {},
): Generation {
  const { inChannels } = pipeline.unet.config;
  const { latentChannels } = pipeline.autoencoder.config;
  if (inChannels !== latentChannels)
    throw new NijimiError(
      "unsupported",
      `${pipeline.name}: its U-Net takes ${inChannels} channels, so it is not for text to image${taskOfChannels(inChannels - latentChannels)}.`,
    );
  const { width = pipeline.defaultSize, height = pipeline.defaultSize } = request;
  const job = await prepare(pipeline, request, { width, height }, options);
  const latents = yield* denoise(job, noisedStart(job));
  yield* decode(job, latents);
}

/** Noise at the schedule's first level. */
export function noisedStart({ plan, noise }: Job): Tensor<"float32"> {
  return combine([plan.initNoiseSigma, noise.start()]);
}
