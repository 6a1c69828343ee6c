/** Image to image (SDEdit, arXiv:2108.01073): an image's latents, noised part of the way, denoised under the prompt. */
import { NijimiError } from "../errors.ts";
import { repeatRows, sliceRows } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Generation } from "./events.ts";
import { type Job, prepare, type RunOptions } from "./job.ts";
import { sampleLatents } from "./networks/autoencoder.ts";
import { type Picture, sizeOfPicture, toSigned, unitTensor } from "./pictures.ts";
import { type Pipeline, taskOfChannels } from "./pipeline.ts";
import type { ImageToImageRequest } from "./request.ts";
import { bicubic, resizeTensor } from "./resize.ts";
import { decode, denoise } from "./sampling/denoise.ts";

type F32 = Tensor<"float32">;

/**
 * Pictures from a picture and a prompt, as events.
 *
 * @example
 * const [{ image }] = await allImages(imageToImage(pipeline, { prompt: "a red cat", image: photo, strength: 0.6 }));
 */
export async function* imageToImage(
  pipeline: Pipeline,
  request: ImageToImageRequest,
  options: RunOptions = {},
): Generation {
  const { image, denoisingStart } = request;
  const { strength = denoisingStart === undefined ? 0.8 : 1 } = request;
  const seesDepth = requireChannels(pipeline, request);
  const size = sizeOfStart(pipeline, image);
  const job = await prepare(
    pipeline,
    request,
    { ...size, strength, task: "image-to-image" },
    options,
  );
  const known = await startLatents(job, image);
  // What another model has begun is as noisy as it is to be.
  const x =
    denoisingStart === undefined
      ? job.plan.addNoise(known, job.noise.start(), job.window.first)
      : known;
  const extraChannels = seesDepth ? depthChannel(job, request.depth as Picture) : undefined;
  const latents = yield* denoise(job, x, { extraChannels });
  yield* decode(job, latents);
}

/** Whether the U-Net sees depth. */
function requireChannels(
  { unet, autoencoder, name }: Pipeline,
  { depth }: ImageToImageRequest,
): boolean {
  const extra = unet.config.inChannels - autoencoder.config.latentChannels;
  if (extra !== 0 && extra !== 1)
    throw new NijimiError(
      "unsupported",
      `${name}: its U-Net takes ${unet.config.inChannels} channels, so it is not for image to image${taskOfChannels(extra)}.`,
    );
  if ((extra === 1) !== (depth !== undefined))
    throw new NijimiError(
      "option",
      extra === 1
        ? `${name} sees depth: give a depth map as depth.`
        : `${name} does not see depth: leave depth out, or take a checkpoint made for it.`,
    );
  return extra === 1;
}

/** The depth map at the latents' size, its least and greatest value −1 and 1. */
function depthChannel({ latentShape: [, , height, width] }: Job, depth: Picture): F32 {
  const values = "dtype" in depth ? depthTensor(depth) : unitTensor(depth, 1);
  const small = resizeTensor(values, height, width, bicubic);
  const plane = height * width;
  const data = new Float32Array(small.data.length);
  for (let at = 0; at < data.length; at += plane) {
    const own = small.data.subarray(at, at + plane);
    const least = own.reduce((a, b) => Math.min(a, b));
    const greatest = own.reduce((a, b) => Math.max(a, b));
    own.forEach((value, i) => (data[at + i] = (2 * (value - least)) / (greatest - least || 1) - 1));
  }
  return { ...small, data };
}

/** [N, H, W] and [N, 1, H, W] as [N, 1, H, W]. */
function depthTensor(depth: F32): F32 {
  const { shape } = depth;
  if (shape.length === 3) return { ...depth, shape: [shape[0], 1, shape[1], shape[2]] };
  if (shape.length === 4 && shape[1] === 1) return depth;
  throw new NijimiError("shape", `A depth map must be [N, H, W] or [N, 1, H, W]; got [${shape}].`);
}

/** Latents are taken as they are, pictures encoded. */
async function startLatents(job: Job, image: Picture): Promise<F32> {
  if (!isLatents(job.pipeline, image)) return encodePicture(job, toSigned(unitTensor(image, 3)));
  return spread(image, job.batch);
}

function isLatents({ autoencoder }: Pipeline, image: Picture): image is F32 {
  return "dtype" in image && image.shape[1] === autoencoder.config.latentChannels;
}

function sizeOfStart(pipeline: Pipeline, image: Picture): ReturnType<typeof sizeOfPicture> {
  const { width, height } = sizeOfPicture(image);
  const scale = isLatents(pipeline, image) ? pipeline.autoencoder.factor : 1;
  return { width: width * scale, height: height * scale };
}

/**
 * A draw from the posterior of a picture in [−1, 1]: latents [B, C, h, w] of the U-Net's scale.
 *
 * With a generator for the whole batch a single picture is drawn once and repeated, as in diffusers; with one per
 * image each draws its own.
 */
export async function encodePicture(
  { pipeline, noise, batch, request }: Job,
  picture: F32,
): Promise<F32> {
  const { autoencoder } = pipeline;
  const moments = await autoencoder.encode(picture, request.tiles);
  const [given] = moments.shape;
  const rows = noise.isShared ? moments : spread(moments, batch);
  const latents = sampleLatents(rows, autoencoder.config, noise.draws);
  return given === batch || rows !== moments ? latents : spread(latents, batch);
}

/** One picture for all images of a batch, or one each. */
function spread(rows: F32, batch: number): F32 {
  return rows.shape[0] === batch ? rows : repeatRows(sliceRows(rows, 0, 1), batch);
}
