/**
 * Stable Diffusion's x4 upscaler: the U-Net sees the small picture, slightly noised, beside latents of its size, and
 * is told how noisy it is (noise conditioning augmentation: cascaded diffusion, arXiv:2106.15282).
 */
import { combine } from "../diffusion/samplers/arithmetic.ts";
import { fromDiffusersConfig } from "../diffusion/samplers/diffusers/from-config.ts";
import { NijimiError } from "../errors.ts";
import { repeatRows } from "../tensor/shape.ts";
import { int64, type Tensor } from "../tensor/tensor.ts";
import type { Generation } from "./events.ts";
import { type Job, prepare, type RunOptions } from "./job.ts";
import { sizeOfPicture, toSigned, unitTensor } from "./pictures.ts";
import { type Pipeline, taskOfChannels } from "./pipeline.ts";
import type { UpscaleRequest } from "./request.ts";
import { decode, denoise } from "./sampling/denoise.ts";
import { noisedStart } from "./text-to-image.ts";

type F32 = Tensor<"float32">;

const COLOURS = 3;
const GUIDANCE_SCALE = 9;

/**
 * Larger pictures of a picture, as events.
 *
 * @throws NijimiError `unsupported` for a checkpoint that is no upscaler, `option` for a noise level it does not know
 * @example
 * const [{ image }] = await allImages(upscale(upscaler, { prompt: "a red cat", image: small }));
 */
export async function* upscale(
  pipeline: Pipeline,
  request: UpscaleRequest,
  options: RunOptions = {},
): Generation {
  const scheduler = requireUpscaler(pipeline);
  const { image, noiseLevel = 20, guidanceScale = GUIDANCE_SCALE } = request;
  const most = Number(pipeline.settings.max_noise_level ?? 350);
  if (!(Number.isInteger(noiseLevel) && noiseLevel >= 0 && noiseLevel <= most))
    throw new NijimiError(
      "option",
      `noiseLevel must be a whole number from 0 to ${most}; got ${noiseLevel}.`,
    );
  const { factor } = pipeline.autoencoder;
  const { width, height } = sizeOfPicture(image);
  const job = await prepare(
    pipeline,
    { ...request, guidanceScale },
    {
      width: width * factor,
      height: height * factor,
      task: "upscale",
      recipe: { extra: { noiseLevel } },
    },
    options,
  );
  const alphaBar = fromDiffusersConfig(scheduler).alphasCumprod?.[noiseLevel] ?? 1;
  const small = noised(job, toSigned(unitTensor(image, COLOURS)), alphaBar);
  const latents = yield* denoise(job, noisedStart(job), {
    extraChannels: small,
    classLabels: int64([1], [noiseLevel]),
  });
  yield* decode(job, latents);
}

/** The scheduler for small pictures. */
function requireUpscaler({ unet, autoencoder, lowResScheduler, name }: Pipeline) {
  const extra = unet.config.inChannels - autoencoder.config.latentChannels;
  if (extra === COLOURS && unet.config.numClassEmbeds !== null && lowResScheduler !== undefined)
    return lowResScheduler;
  throw new NijimiError(
    "unsupported",
    `${name} is no upscaler: its U-Net takes ${unet.config.inChannels} channels${taskOfChannels(extra)}.`,
  );
}

/** With one generator for the batch the picture is noised once, as in diffusers; else for each image. */
function noised({ noise, batch }: Job, picture: F32, alphaBar: number): F32 {
  const rows = noise.isShared || picture.shape[0] === batch ? picture : repeatRows(picture, batch);
  return combine(
    [Math.sqrt(alphaBar), rows],
    [Math.sqrt(1 - alphaBar), noise.draws.randn(rows.shape)],
  );
}
