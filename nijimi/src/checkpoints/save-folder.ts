/**
 * Writing a diffusers folder: `model_index.json`, and for each component its config and weights or its files,
 * so that Python's `DiffusionPipeline.from_pretrained` loads it.
 */
import { formatJson, type JsonObject } from "./json.ts";
import { saveSharded, type Savable, type ShardOptions } from "./save-safetensors.ts";

/** A class of diffusers or transformers. */
export interface ComponentClass {
  /** `"diffusers"` or `"transformers"`. */
  readonly library: string;
  readonly className: string;
}

/** What is written into the folder of a component. */
export interface SavedComponent extends ComponentClass {
  /** Written to `config.json`, `scheduler_config.json` or `preprocessor_config.json`. */
  readonly config?: JsonObject;
  /** Weights under the names of the class. */
  readonly tensors?: Savable;
  /** Further files by name, such as a tokenizer's vocabulary. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** A pipeline to be written. */
export interface SavedPipeline {
  /** Class of the pipeline, e.g. `"StableDiffusionPipeline"`. */
  readonly className: string;
  /** Components by the name of their folder; null writes `[null, null]`, a component left out. */
  readonly components: Readonly<Record<string, SavedComponent | null>>;
  /** Further values of `model_index.json`, e.g. `{ requires_safety_checker: false }`. */
  readonly options?: JsonObject;
}

/** How {@link saveDiffusersFolder} writes. */
export interface SaveFolderOptions extends ShardOptions {
  /** Replace a folder that is there already. @default false */
  readonly overwrite?: boolean;
  /** Version of diffusers that the configs are written for. @default "0.35.2" */
  readonly diffusersVersion?: string;
}

/**
 * Writes a folder, which appears complete or not at all.
 *
 * @example
 * await saveDiffusersFolder("out/ddpm", {
 *   className: "DDPMPipeline",
 *   components: {
 *     unet: { library: "diffusers", className: "UNet2DModel", config, tensors },
 *     scheduler: { library: "diffusers", className: "DDPMScheduler", config: schedulerConfig },
 *   },
 * });
 */
export async function saveDiffusersFolder(
  folder: string,
  pipeline: SavedPipeline,
  { overwrite = false, diffusersVersion = "0.35.2", ...options }: SaveFolderOptions = {},
): Promise<void> {
  const { join, writeFile, writeFolder } = await import("#files");
  await writeFolder(folder, overwrite, async (temporary) => {
    for (const [name, component] of Object.entries(pipeline.components))
      if (component)
        await saveComponent(join(temporary, name), component, { diffusersVersion, ...options });
    await writeFile(
      join(temporary, "model_index.json"),
      text(formatJson(modelIndex(pipeline, diffusersVersion))),
    );
  });
}

/**
 * Writes the folder of one component; a folder that is there keeps its other files.
 *
 * @example
 * await saveComponent("out/vae", { library: "diffusers", className: "AutoencoderKL", config, tensors });
 */
export async function saveComponent(
  folder: string,
  { library, className, config, tensors, files = {} }: SavedComponent,
  { diffusersVersion = "0.35.2", ...options }: Omit<SaveFolderOptions, "overwrite"> = {},
): Promise<void> {
  const { join, writeFile } = await import("#files");
  const diffusers = library === "diffusers";
  if (tensors)
    await saveSharded(folder, diffusers ? "diffusion_pytorch_model" : "model", tensors, options);
  if (config) {
    const head: JsonObject = diffusers
      ? { _class_name: className, _diffusers_version: diffusersVersion }
      : tensors
        ? { architectures: [className] }
        : {};
    const json = formatJson({ ...head, ...config });
    await writeFile(join(folder, configName(className)), text(json));
  }
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder, name), typeof content === "string" ? text(content) : [content]);
}

function configName(className: string): string {
  if (className.endsWith("Scheduler")) return "scheduler_config.json";
  if (/(ImageProcessor|FeatureExtractor)$/.test(className)) return "preprocessor_config.json";
  return "config.json";
}

function modelIndex(
  { className, components, options = {} }: SavedPipeline,
  version: string,
): JsonObject {
  const index: JsonObject = { _class_name: className, _diffusers_version: version, ...options };
  for (const [name, component] of Object.entries(components))
    index[name] = component ? [component.library, component.className] : [null, null];
  return index;
}

function text(content: string): Uint8Array[] {
  return [new TextEncoder().encode(content)];
}
