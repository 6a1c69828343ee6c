/** The tasks that a worker does, by the names of their functions. */
import { editImage } from "../edit-image.ts";
import type { Generation } from "../events.ts";
import { imageToImage } from "../image-to-image.ts";
import { inpaint } from "../inpaint.ts";
import type { RunOptions } from "../job.ts";
import type { Pipeline } from "../pipeline.ts";
import type {
  EditRequest,
  ImageToImageRequest,
  InpaintRequest,
  TextToImageRequest,
  UpscaleRequest,
} from "../request.ts";
import { textToImage } from "../text-to-image.ts";
import { upscale } from "../upscale.ts";

/** A request without what cannot be sent: functions. */
type Sent<Request> = Omit<Request, "draws" | "guidance">;

/** Requests by task. */
export interface Tasks {
  textToImage: Sent<TextToImageRequest>;
  imageToImage: Sent<ImageToImageRequest>;
  inpaint: Sent<InpaintRequest>;
  editImage: Sent<EditRequest>;
  upscale: Sent<UpscaleRequest>;
}

export type TaskName = keyof Tasks;

type Run<Request> = (pipeline: Pipeline, request: Request, options: RunOptions) => Generation;

export const TASKS = { textToImage, imageToImage, inpaint, editImage, upscale } satisfies {
  readonly [Task in TaskName]: Run<never>;
} as { readonly [Task in TaskName]: Run<Tasks[Task]> };
