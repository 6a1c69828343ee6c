/** Which task a request is of: by what it brings, and by what the checkpoint's U-Net sees. */
import { NijimiError } from "../../errors.ts";
import { editImage } from "../../pipelines/edit-image.ts";
import type { Generation } from "../../pipelines/events.ts";
import { hiresFix, type HiresRequest } from "../../pipelines/hires-fix.ts";
import { imageToImage } from "../../pipelines/image-to-image.ts";
import { inpaint } from "../../pipelines/inpaint.ts";
import {
  type InterpolationRequest,
  interpolatePrompts,
} from "../../pipelines/interpolate-prompts.ts";
import type { RunOptions } from "../../pipelines/job.ts";
import { outpaint, type OutpaintRequest } from "../../pipelines/outpaint.ts";
import type { Pipeline } from "../../pipelines/pipeline.ts";
import { baseAndRefiner } from "../../pipelines/refine.ts";
import type { ImageToImageRequest, InpaintRequest } from "../../pipelines/request.ts";
import { textToImage } from "../../pipelines/text-to-image.ts";
import { upscale } from "../../pipelines/upscale.ts";
import type { AnyRequest } from "./settings.ts";

/** The pipelines of a run. */
export interface Pipelines {
  readonly pipeline: Pipeline;
  readonly refiner?: Pipeline;
}

type Run = (pipelines: Pipelines, request: AnyRequest, options: RunOptions) => Generation;

const TASKS = {
  outpaint: ({ pipeline }, { extend, ...request }, options) =>
    outpaint(pipeline, { ...request, ...extend } as OutpaintRequest, options),
  "interpolate-prompts": ({ pipeline }, request, options) =>
    interpolatePrompts(pipeline, request as unknown as InterpolationRequest, options),
  "hires-fix": ({ pipeline }, request, options) =>
    hiresFix(pipeline, request as HiresRequest, options),
  inpaint: ({ pipeline }, request, options) =>
    inpaint(pipeline, request as InpaintRequest, options),
  upscale: ({ pipeline }, request, options) =>
    upscale(pipeline, request as ImageToImageRequest, options),
  edit: ({ pipeline }, request, options) =>
    editImage(pipeline, request as ImageToImageRequest, options),
  "image-to-image": ({ pipeline }, request, options) =>
    imageToImage(pipeline, request as ImageToImageRequest, options),
  "base-and-refiner": ({ pipeline, refiner }, request, options) =>
    baseAndRefiner(pipeline, refiner as Pipeline, request, options),
  "text-to-image": ({ pipeline }, request, options) => textToImage(pipeline, request, options),
} as const satisfies Record<string, Run>;

export type TaskName = keyof typeof TASKS;

/**
 * The task's name.
 *
 * @throws NijimiError `option` for things that no task does together
 */
export function taskOf({ pipeline, refiner }: Pipelines, request: AnyRequest): TaskName {
  const found = taskWithoutRefiner(pipeline, request);
  if (refiner === undefined) return found;
  if (found === "text-to-image") return "base-and-refiner";
  throw new NijimiError("option", `--refiner finishes text to image; this is ${found}.`);
}

function taskWithoutRefiner({ unet, autoencoder }: Pipeline, request: AnyRequest): TaskName {
  const beginnings = [
    request.image && "--image",
    request.prompts && "--interpolate-to",
    request.hires && "--hires-scale",
  ].filter((option) => option !== undefined);
  if (beginnings.length > 1)
    throw new NijimiError(
      "option",
      `${beginnings.join(" and ")} do not go together: give one of them.`,
    );
  if (request.extend !== undefined) return "outpaint";
  if (request.prompts !== undefined) return "interpolate-prompts";
  if (request.mask !== undefined) return "inpaint";
  if (request.image === undefined) return request.hires ? "hires-fix" : "text-to-image";
  const extra = unet.config.inChannels - autoencoder.config.latentChannels;
  if (extra === 3) return "upscale";
  return extra === autoencoder.config.latentChannels ? "edit" : "image-to-image";
}

/** Runs the request's task. */
export function generate(
  pipelines: Pipelines,
  request: AnyRequest,
  options: RunOptions,
): Generation {
  const run: Run = TASKS[taskOf(pipelines, request)];
  return run(pipelines, request, options);
}
