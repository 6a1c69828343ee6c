/** From options (and a recipe) to what the pipeline is loaded with and asked for. */
import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { NijimiError } from "../../errors.ts";
import { readImage } from "../../images/codec.ts";
import { readMetadata } from "../../images/metadata/read.ts";
import { parseRecipe, type Recipe } from "../../images/metadata/recipe.ts";
import { EMBEDDED_MODEL } from "../../pipelines/embedded-model.ts";
import type { HiresOptions } from "../../pipelines/hires-fix.ts";
import { preset } from "../../pipelines/presets.ts";
import { adaptersOfRecipe, loadFactsOfRecipe, requestOfRecipe } from "../../pipelines/recipe.ts";
import type {
  GenerationRequest,
  ImageToImageRequest,
  InpaintRequest,
  TextToImageRequest,
} from "../../pipelines/request.ts";
import type { TileOptions } from "../../pipelines/networks/tiles.ts";
import type { Pipeline, PipelineOptions } from "../../pipelines/pipeline.ts";
import type { Device } from "../../runtime/engine.ts";
import { home } from "../../internal/home.node.ts";
import { kebabCase, type Values } from "../options.ts";
import { adapterFilesOf, adapterUsesOf } from "./adapters.ts";
import { locateModel } from "./locate.ts";
import { refuseAlone } from "./needs.ts";
import type { OPTIONS } from "./options.ts";
import {
  parseCrop,
  parseFreeU,
  parseNumbers,
  parseSeed,
  parseSides,
  parseSize,
  type Sides,
} from "./values.ts";

/** Values of the options. */
export type Given = Values<typeof OPTIONS>;
type Env = Readonly<Record<string, string | undefined>>;

/** A request of one of the tasks. */
export type AnyRequest = TextToImageRequest &
  Partial<ImageToImageRequest & InpaintRequest> & {
    readonly hires?: HiresOptions;
    readonly extend?: Sides;
    readonly prompts?: readonly string[];
    readonly refinerStart?: number;
  };

/** Means the checkpoint's own safety checker. */
const OWN = "own";
/** How much of a second noise is mixed in when only its seed is given. */
const VARIATION_STRENGTH = 0.1;

/** A recipe out of a picture or a JSON file; undefined without `--recipe`. */
export async function readRecipe(path: string | undefined): Promise<Recipe | undefined> {
  if (path === undefined) return undefined;
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new NijimiError("file", `${path} cannot be read.`, { cause });
  });
  if (/\.json$/i.test(path)) return parseRecipe(bytes.toString("utf8"));
  const { recipe } = readMetadata(bytes);
  if (recipe === undefined)
    throw new NijimiError(
      "format",
      `${path} carries no recipe, so there is nothing to make again.`,
    );
  return recipe;
}

/** The prompt from argument, file, standard input or recipe. */
export async function readPrompt(
  { prompt, promptFile }: Pick<Given, "prompt" | "promptFile">,
  recipe: Recipe | undefined,
): Promise<string> {
  if (prompt !== undefined && promptFile !== undefined)
    throw new NijimiError("option", "Give a prompt or --prompt-file, not both.");
  if (promptFile !== undefined)
    return (
      await readFile(promptFile, "utf8").catch((cause: unknown) => {
        throw new NijimiError("file", `${promptFile} cannot be read.`, { cause });
      })
    ).trim();
  if (prompt === "-") return (await readAll(process.stdin)).trim();
  const found = prompt ?? recipe?.prompt;
  if (found === undefined)
    throw new NijimiError(
      "option",
      'Missing prompt: say what to draw, for example `nijimi generate "red apple"`.',
    );
  return found;
}

/** The model's path: as asked for, the recipe's, the environment's, or the one that comes with the package. */
export async function modelOf(
  { model }: Pick<Given, "model">,
  recipe: Recipe | undefined,
  env: Env,
): Promise<string> {
  return locateModel(model ?? recipe?.model?.name ?? env.NIJIMI_MODEL ?? EMBEDDED_MODEL, env);
}

/** Options, and where they say nothing of how the model is loaded, the recipe's. */
export function withRecipe(given: Given, recipe: Recipe | undefined): Given {
  if (recipe === undefined) return given;
  return { ...given, ...loadFactsOfRecipe(recipe), ...known(given) };
}

/** What the pipeline is loaded with. */
export async function pipelineOptionsOf(
  given: Given,
  env: Env,
  signal: AbortSignal,
): Promise<PipelineOptions> {
  const { models, cache } = home(env);
  const embeddings = given.embedding.map((item) => {
    const at = item.indexOf("=");
    if (at < 1)
      throw new NijimiError("option", `--embedding: ${JSON.stringify(item)} must be word=path.`);
    return [item.slice(0, at), item.slice(at + 1)];
  });
  return {
    variant: given.variant,
    ...(given.vae !== undefined && { vae: await locateModel(given.vae, env) }),
    ...(await adapterFilesOf(given, models, env)),
    embeddings: Object.fromEntries(embeddings) as Record<string, string>,
    ...(given.previewDecoder !== undefined && { previewDecoder: given.previewDecoder }),
    ...(given.safetyChecker !== undefined &&
      given.safetyChecker !== OWN && {
        safetyChecker: await locateModel(given.safetyChecker, env),
      }),
    ...(given.lowMemory && { lowMemory: true }),
    ...(given.seamless !== undefined && { seamless: given.seamless }),
    ...(given.tokenizer !== undefined && {
      tokenizers: { tokenizer: given.tokenizer, tokenizer_2: given.tokenizer },
    }),
    // A dry run makes nothing, not even a quantised model.
    ...(given.precision !== undefined && !given.dryRun && { precision: given.precision }),
    quantizedFolder: `${cache}/quantized`,
    device: given.device as Device | undefined,
    threads: given.threads,
    worker: true,
    ...(given.cache && { cacheFolder: `${cache}/graphs` }),
    http: { signal },
  };
}

const PLAIN = [
  "negativePrompt", "width", "height", "steps", "sampler", "schedule", "guidanceScale", "guidanceRescale", "eta",
  "clipSkip", "grammar", "emphasis", "strength", "prompt2", "negativePrompt2", "refinerStart", "noiseLevel",
  "imageGuidanceScale", "frames",
] as const; // prettier-ignore

/** Tasks that begin with nothing but a prompt. */
const FROM_TEXT = ["text-to-image", "hires-fix"];

/** The refiner's path, from option or recipe. */
export async function refinerOf(
  { refiner }: Pick<Given, "refiner">,
  recipe: Recipe | undefined,
  env: Env,
): Promise<string | undefined> {
  const wanted = refiner ?? recipe?.extra?.refiner;
  return typeof wanted === "string" ? locateModel(wanted, env) : undefined;
}

/** What the pipeline is asked for; the pictures of `--image` and others are read. */
export async function requestOf(
  given: Given,
  prompt: string,
  recipe: Recipe | undefined,
  pipeline?: Pick<Pipeline, "unet">,
): Promise<AnyRequest> {
  const base: Partial<AnyRequest> =
    recipe === undefined ? {} : requestOfRecipe({ ...recipe, prompt });
  if (recipe?.task !== undefined && !FROM_TEXT.includes(recipe.task) && given.image === undefined)
    throw new NijimiError(
      "option",
      `The recipe is of ${recipe.task}; give the picture it began with as --image${recipe.task === "inpaint" ? " and --mask" : ""}.`,
    );
  refuseAlone(given, recipe);
  if (given.extend !== undefined && given.mask !== undefined)
    throw new NijimiError("option", "--extend and --mask do not go together: give one of them.");
  const own = Object.fromEntries(
    PLAIN.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
  ) as Partial<GenerationRequest>;
  return {
    ...base,
    ...(given.preset !== undefined && preset(given.preset, pipeline)),
    ...own,
    prompt,
    ...(given.interpolateTo.length > 0 && {
      prompts: [prompt, ...given.interpolateTo],
      ...(given.interpolation && { how: given.interpolation }),
    }),
    ...(await adapterUsesOf(given, recipe && adaptersOfRecipe(recipe))),
    ...(given.timesteps !== undefined && {
      timesteps: parseNumbers("--timesteps", given.timesteps),
    }),
    ...(given.sigmas !== undefined && { sigmas: parseNumbers("--sigmas", given.sigmas) }),
    ...(given.freeu !== undefined && { freeU: parseFreeU(given.freeu) }),
    ...(given.safetyChecker !== undefined && { checkSafety: true }),
    ...(given.vaeTile !== undefined && { tiles: tilesOf(given.vaeTile) }),
    ...microConditioningOf(given, base),
    ...(given.seed !== undefined && { seed: parseSeed("--seed", given.seed) }),
    ...(given.noise !== undefined && { seedSource: given.noise }),
    ...variationOf(given, base),
    ...(given.image !== undefined && { image: await readImage(given.image) }),
    ...(given.mask !== undefined && { mask: await readImage(given.mask) }),
    ...(given.depth !== undefined && { depth: await readImage(given.depth) }),
    ...(given.preview !== undefined && { preview: {} }),
    ...hiresOf(given, recipe),
    ...(given.extend !== undefined && { extend: parseSides(given.extend) }),
  };
}

/** The noise to mix in, of options or recipe. */
function variationOf(
  { variationSeed, variationStrength }: Given,
  { variation: from }: Partial<AnyRequest>,
): Pick<GenerationRequest, "variation"> {
  const seed =
    variationSeed === undefined ? from?.seed : parseSeed("--variation-seed", variationSeed);
  if (seed === undefined) return {};
  const strength = variationStrength ?? from?.strength ?? VARIATION_STRENGTH;
  return { variation: { seed, strength } };
}

/** The second pass of options or recipe. */
function hiresOf(
  { hiresScale, hiresStrength, hiresSteps, hiresUpscaler }: Given,
  recipe: Recipe | undefined,
): { readonly hires?: HiresOptions } {
  const from = recipe?.hires;
  const scale = hiresScale ?? from?.scale;
  if (scale === undefined) return {};
  return {
    hires: known({
      scale,
      strength: hiresStrength ?? from?.strength,
      steps: hiresSteps ?? from?.steps,
      upscaler: hiresUpscaler ?? (from?.upscaler as HiresOptions["upscaler"]),
    }),
  };
}

function tilesOf(size: number): TileOptions | false {
  return size === 0 ? false : { size, overlap: Math.floor(size / 4) };
}

/** What SDXL is told beside the prompts, by options and recipe. */
function microConditioningOf(
  given: Given,
  { microConditioning: from }: Partial<AnyRequest>,
): Pick<GenerationRequest, "microConditioning"> {
  const size = (
    name: "originalSize" | "targetSize" | "negativeOriginalSize" | "negativeTargetSize",
  ) => (given[name] === undefined ? undefined : parseSize(`--${kebabCase(name)}`, given[name]));
  const crop = (name: "cropTopLeft" | "negativeCropTopLeft") =>
    given[name] === undefined ? undefined : parseCrop(`--${kebabCase(name)}`, given[name]);
  const negative = {
    ...from?.negative,
    ...known({
      originalSize: size("negativeOriginalSize"),
      cropTopLeft: crop("negativeCropTopLeft"),
      targetSize: size("negativeTargetSize"),
      aestheticScore: given.negativeAestheticScore,
    }),
  };
  const microConditioning = {
    ...from,
    ...known({
      originalSize: size("originalSize"),
      cropTopLeft: crop("cropTopLeft"),
      targetSize: size("targetSize"),
      aestheticScore: given.aestheticScore,
    }),
    ...(Object.keys(negative).length > 0 && { negative }),
  };
  return Object.keys(microConditioning).length > 0 ? { microConditioning } : {};
}

/** The fields that have a value. */
function known<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, own]) => own !== undefined),
  ) as Partial<T>;
}
