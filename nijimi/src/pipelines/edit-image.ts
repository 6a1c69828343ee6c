/**
 * Pictures changed by an instruction: InstructPix2Pix (Brooks et al. 2022, arXiv:2211.09800). The U-Net sees the
 * picture's latents beside its own; guidance has one scale for the text and one for the picture (eq. 3).
 */
import { combine } from "../diffusion/samplers/arithmetic.ts";
import { NijimiError } from "../errors.ts";
import { COND, type Guidance, UNCOND } from "../guidance/types.ts";
import { zeros } from "../tensor/tensor.ts";
import { WITHOUT_PICTURE } from "./conditioning/conditions.ts";
import type { Generation } from "./events.ts";
import { prepare, type RunOptions } from "./job.ts";
import { sampleLatents } from "./networks/autoencoder.ts";
import { sizeOfPicture, toSigned, unitTensor } from "./pictures.ts";
import { type Pipeline, taskOfChannels } from "./pipeline.ts";
import type { EditRequest } from "./request.ts";
import { decode, denoise } from "./sampling/denoise.ts";
import { noisedStart } from "./text-to-image.ts";

/**
 * Edited pictures, as events.
 *
 * @throws NijimiError `unsupported` for a checkpoint that was not made for it
 * @example
 * const [{ image }] = await allImages(editImage(pipeline, { prompt: "make it winter", image: photo }));
 */
export async function* editImage(
  pipeline: Pipeline,
  request: EditRequest,
  options: RunOptions = {},
): Generation {
  const { autoencoder, unet, name } = pipeline;
  const extra = unet.config.inChannels - autoencoder.config.latentChannels;
  if (extra !== autoencoder.config.latentChannels)
    throw new NijimiError(
      "unsupported",
      `${name}: its U-Net takes ${unet.config.inChannels} channels, so it does not edit by instruction${taskOfChannels(extra)}.`,
    );
  const { image, guidanceScale = 7.5, imageGuidanceScale = 1.5 } = request;
  const isGuided = guidanceScale > 1 && imageGuidanceScale >= 1;
  const job = await prepare(
    pipeline,
    {
      ...request,
      ...(isGuided && { guidance: byTextAndPicture(guidanceScale, imageGuidanceScale) }),
    },
    { ...sizeOfPicture(image), task: "edit", recipe: { extra: { imageGuidanceScale } } },
    options,
  );
  const moments = await autoencoder.encode(toSigned(unitTensor(image, 3)), request.tiles);
  // As published: the posterior's mean, not multiplied by the latents' scale.
  const known = sampleLatents(moments, { ...autoencoder.config, scalingFactor: 1 });
  const nothing = zeros("float32", known.shape);
  const latents = yield* denoise(job, noisedStart(job), {
    extraChannels: (branch) => (branch === WITHOUT_PICTURE ? nothing : known),
  });
  yield* decode(job, latents);
}

/** ε(∅, ∅) + s_I·(ε(I, ∅) − ε(∅, ∅)) + s_T·(ε(I, T) − ε(I, ∅)) */
function byTextAndPicture(text: number, picture: number): Guidance {
  return {
    branches: () => [COND, UNCOND, WITHOUT_PICTURE],
    combine: ({ [COND]: both, [UNCOND]: seen, [WITHOUT_PICTURE]: none }) =>
      combine([text, both], [picture - text, seen], [1 - picture, none]),
  };
}
