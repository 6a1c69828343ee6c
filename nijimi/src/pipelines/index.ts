/** Pipelines: prompt to picture with Stable Diffusion 1, 2 and XL. */
export { EMBEDDED_MODEL, embeddedModelUrl } from "./embedded-model.ts";
export { editImage } from "./edit-image.ts";
export { type EncodedPrompts, encodePrompts } from "./encode-prompt.ts";
export * from "./events.ts";
export { HIRES_UPSCALERS, hiresFix, type HiresOptions, type HiresRequest } from "./hires-fix.ts";
export { SEAMLESS_AXES, type SeamlessAxes } from "./hooks/seamless.ts";
export { imageToImage } from "./image-to-image.ts";
export { inpaint } from "./inpaint.ts";
export type { RunOptions } from "./job.ts";
export { NO_ADAPTERS } from "./networks/low-rank.ts";
export type { TileOptions } from "./networks/tiles.ts";
export { type Precision, PRECISIONS, type RuntimeOptions } from "./networks/weights.ts";
export type { Picture } from "./pictures.ts";
export { outpaint, type OutpaintRequest } from "./outpaint.ts";
export {
  loadPipeline,
  type Pipeline,
  type PipelineOptions,
  type PromptEncoder,
} from "./pipeline.ts";
export { preset, type PresetName, PRESETS } from "./presets.ts";
export { colourPreviewer, type Previewer } from "./previews.ts";
export { BLENDS, type BlendKind, type PromptBlend } from "./conditioning/blend.ts";
export { type InterpolationRequest, interpolatePrompts } from "./interpolate-prompts.ts";
export type { SafetyVerdict } from "./networks/safety.ts";
export {
  type AdaptersOfRecipe,
  adaptersOfRecipe,
  type LoadFacts,
  loadFactsOfRecipe,
  requestOfRecipe,
} from "./recipe.ts";
export { baseAndRefiner, type RefineRequest } from "./refine.ts";
export * from "./request.ts";
export { textToImage } from "./text-to-image.ts";
export { upscale } from "./upscale.ts";
export * from "./worker/connect.ts";
export type {
  ModelInfo,
  ModelInput,
  PickedFolder,
  Port,
  WorkerDevices,
  WorkerPipelineOptions,
} from "./worker/protocol.ts";
export { servePipelines } from "./worker/serve.ts";
export type { TaskName, Tasks } from "./worker/tasks.ts";
