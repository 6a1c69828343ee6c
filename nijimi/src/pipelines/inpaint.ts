/**
 * Inpainting. A U-Net made for it sees the mask and the masked picture beside the latents (9 channels); any other
 * is held to the known part by putting it back, noised to the right level, after every step.
 */
import { NijimiError } from "../errors.ts";
import { combine } from "../diffusion/samplers/arithmetic.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Generation } from "./events.ts";
import { encodePicture } from "./image-to-image.ts";
import { type Job, prepare, type RunOptions } from "./job.ts";
import { requireSize, sizeOfPicture, toSigned, unitTensor } from "./pictures.ts";
import type { Pipeline } from "./pipeline.ts";
import type { InpaintRequest } from "./request.ts";
import { nearest, resizeTensor } from "./resize.ts";
import { joinChannels } from "./sampling/branch-network.ts";
import { decode, denoise, type DenoiseOptions } from "./sampling/denoise.ts";
import { repeatRows } from "../tensor/shape.ts";

type F32 = Tensor<"float32">;

/**
 * Pictures in which the masked part is made anew, as events.
 *
 * @throws NijimiError `option` for a mask of another size, `unsupported` for a U-Net of neither kind
 * @example
 * const [{ image }] = await allImages(inpaint(pipeline, { prompt: "a hat", image: photo, mask, strength: 1 }));
 */
export async function* inpaint(
  pipeline: Pipeline,
  request: InpaintRequest,
  options: RunOptions = {},
): Generation {
  const { image, strength = 1 } = request;
  const seesMask = channelsOf(pipeline);
  const size = sizeOfPicture(image);
  requireSize("The mask", request.mask, size);
  const job = await prepare(pipeline, request, { ...size, strength, task: "inpaint" }, options);

  const picture = toSigned(unitTensor(image, 3));
  const mask = binary(unitTensor(request.mask, 1));
  // The order of the draws is diffusers': the picture, the noise, the masked picture.
  const known = !seesMask || strength < 1 ? await encodePicture(job, picture) : undefined;
  const noise = job.noise.start();
  const x =
    strength < 1 && known
      ? job.plan.addNoise(known, noise, job.window.first)
      : combine([job.plan.initNoiseSigma, noise]);
  const masked = await encodePicture(job, withoutMasked(picture, mask));
  const [, , rows, columns] = job.latentShape;
  const small = resizeTensor(mask, rows, columns, nearest);

  const latents = yield* denoise(
    job,
    x,
    seesMask
      ? { extraChannels: joinChannels(repeated(small, job.batch), masked) }
      : putBack(job, known as F32, noise, small),
  );
  yield* decode(job, latents);
}

/** Whether the U-Net takes mask and masked picture. */
function channelsOf({ unet, autoencoder, name }: Pipeline): boolean {
  const { inChannels } = unet.config;
  const { latentChannels } = autoencoder.config;
  if (inChannels === latentChannels) return false;
  if (inChannels === 2 * latentChannels + 1) return true;
  throw new NijimiError(
    "unsupported",
    `${name}: its U-Net takes ${inChannels} channels; for inpainting ${latentChannels} or ${2 * latentChannels + 1} are needed.`,
  );
}

/** 1 from one half on, else 0. */
function binary(mask: F32): F32 {
  return { ...mask, data: mask.data.map((value) => (value < 0.5 ? 0 : 1)) };
}

/** The picture, grey (0 of −1 … 1) where the mask is 1. */
function withoutMasked(picture: F32, { data: mask, shape }: F32): F32 {
  const [, channels, height, width] = picture.shape;
  const plane = height * width;
  const at = (i: number) => {
    const b = Math.floor(i / (channels * plane));
    return (shape[0] === 1 ? 0 : b) * plane + (i % plane);
  };
  return { ...picture, data: picture.data.map((value, i) => (mask[at(i)] < 0.5 ? value : 0)) };
}

function repeated(rows: F32, batch: number): F32 {
  return rows.shape[0] === batch ? rows : repeatRows(rows, batch);
}

/** Puts back what is known, noised to the level that is reached, where the mask is 0. */
function putBack(
  { plan }: Job,
  known: F32,
  noise: F32,
  mask: F32,
): Pick<DenoiseOptions, "afterStep" | "withinStep"> {
  const { addNoiseAt } = plan;
  return {
    afterStep(x, next, timestep) {
      // In the middle of a schedule PLMS's state lags behind its timesteps; diffusers goes by these.
      const proper = () =>
        addNoiseAt && timestep !== undefined
          ? addNoiseAt(known, noise, timestep)
          : plan.addNoise(known, noise, next);
      blend(x, next < plan.steps ? proper() : known, mask);
    },
    ...(addNoiseAt && {
      withinStep(x: F32, timestep: number) {
        const proper = addNoiseAt(known, noise, timestep);
        // A variance-exploding state is shown to the network divided by √(σ² + 1).
        const sigma = plan.space === "ve" ? addNoiseAt(scalar(0), scalar(1), timestep).data[0] : 0;
        const shown = { ...x, data: x.data.slice() };
        blend(shown, combine([(sigma ** 2 + 1) ** -0.5, proper]), mask);
        return shown;
      },
    }),
  };
}

function scalar(value: number): F32 {
  return { dtype: "float32", shape: [1], data: Float32Array.of(value) };
}

/** Writes to `x`: what is proper where the mask is 0. */
function blend(x: F32, proper: F32, mask: F32): void {
  const [, channels, height, width] = x.shape;
  const plane = height * width;
  for (let i = 0; i < x.data.length; i++) {
    const b = mask.shape[0] === 1 ? 0 : Math.floor(i / (channels * plane));
    const repaint = mask.data[b * plane + (i % plane)];
    x.data[i] = (1 - repaint) * proper.data[i] + repaint * x.data[i];
  }
}
