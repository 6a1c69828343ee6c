/** From options (and a recipe) to what the pipeline is loaded with and asked for. */
import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { NijimiError } from "../../errors.ts";
import { readImage } from "../../images/codec.ts";
import { readMetadata } from "../../images/metadata/read.ts";
import { parseRecipe, type Recipe } from "../../images/metadata/recipe.ts";
import { EMBEDDED_MODEL } from "../../pipelines/embedded-model.ts";
import type { HiresOptions } from "../../pipelines/hires-fix.ts";
import type { OutpaintRequest } from "../../pipelines/outpaint.ts";
import { preset } from "../../pipelines/presets.ts";
import { requestOfRecipe } from "../../pipelines/recipe.ts";
import type {
  GenerationRequest,
  ImageToImageRequest,
  InpaintRequest,
  LoraUse,
  TextToImageRequest,
} from "../../pipelines/request.ts";
import type { PipelineOptions } from "../../pipelines/pipeline.ts";
import type { Device } from "../../runtime/engine.ts";
import { home } from "../../internal/home.node.ts";
import type { Values } from "../options.ts";
import { inFolder, locateModel } from "./locate.ts";
import type { OPTIONS } from "./options.ts";

/** Values of the options. */
export type Given = Values<typeof OPTIONS>;
type Env = Readonly<Record<string, string | undefined>>;

/** A request of one of the tasks. */
export type AnyRequest = TextToImageRequest &
  Partial<ImageToImageRequest & InpaintRequest> & {
    readonly hires?: HiresOptions;
    readonly extend?: Pick<OutpaintRequest, (typeof SIDES)[number]>;
  };

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

/** `a.safetensors:0.8` and others as names, paths and strengths. */
export function parseLoras(list: readonly string[]): { path: string; use: LoraUse }[] {
  return list.map((item) => {
    const [, path, scale] = /^(.*?)(?::(-?[\d.]+))?$/s.exec(item) as RegExpExecArray;
    const name = (path.split(/[\\/]/).at(-1) ?? path).replace(/\.\w+$/, "");
    return { path, use: { name, ...(scale !== undefined && { scale: Number(scale) }) } };
  });
}

/** What the pipeline is loaded with. */
export async function pipelineOptionsOf(
  given: Given,
  env: Env,
  signal: AbortSignal,
): Promise<PipelineOptions> {
  const { models, cache } = home(env);
  const loraFolder = `${models}/loras`;
  const loras: Record<string, string> = {};
  for (const { path, use } of parseLoras(given.lora))
    loras[use.name] = (await inFolder(loraFolder, path)) ?? path;
  const embeddings = given.embedding.map((item) => {
    const at = item.indexOf("=");
    if (at < 1)
      throw new NijimiError("option", `--embedding: ${JSON.stringify(item)} must be word=path.`);
    return [item.slice(0, at), item.slice(at + 1)];
  });
  return {
    variant: given.variant,
    ...(given.vae !== undefined && { vae: await locateModel(given.vae, env) }),
    loras,
    findLora: (name) => inFolder(loraFolder, name),
    embeddings: Object.fromEntries(embeddings) as Record<string, string>,
    ...(given.controlNet !== undefined && {
      controlNets: { control: await locateModel(given.controlNet, env) },
    }),
    ...(given.previewDecoder !== undefined && { previewDecoder: given.previewDecoder }),
    ...(given.seamless !== undefined && { seamless: given.seamless }),
    ...(given.tokenizer !== undefined && {
      tokenizers: { tokenizer: given.tokenizer, tokenizer_2: given.tokenizer },
    }),
    device: given.device as Device | undefined,
    threads: given.threads,
    worker: true,
    cacheFolder: `${cache}/graphs`,
    http: { signal },
  };
}

const PLAIN = [
  "negativePrompt", "width", "height", "steps", "sampler", "schedule", "guidanceScale", "guidanceRescale", "eta",
  "clipSkip", "grammar", "emphasis", "strength",
] as const; // prettier-ignore

/** Tasks that begin with nothing but a prompt. */
const FROM_TEXT = ["text-to-image", "hires-fix"];

/** What the pipeline is asked for; the pictures of `--image` and others are read. */
export async function requestOf(
  given: Given,
  prompt: string,
  recipe: Recipe | undefined,
): Promise<AnyRequest> {
  const base: Partial<AnyRequest> =
    recipe === undefined ? {} : requestOfRecipe({ ...recipe, prompt });
  if (recipe?.task !== undefined && !FROM_TEXT.includes(recipe.task) && given.image === undefined)
    throw new NijimiError(
      "option",
      `The recipe is of ${recipe.task}; give the picture it began with as --image${recipe.task === "inpaint" ? " and --mask" : ""}.`,
    );
  if (given.mask !== undefined && given.image === undefined)
    throw new NijimiError("option", "--mask needs --image, the picture that it belongs to.");
  if (given.extend !== undefined && (given.image === undefined || given.mask !== undefined))
    throw new NijimiError("option", "--extend needs --image, and goes without --mask.");
  if ((given.controlNet === undefined) !== (given.controlImage === undefined))
    throw new NijimiError("option", "--control-net and --control-image go together.");
  const loras = parseLoras(given.lora).map(({ use }) => use);
  const own = Object.fromEntries(
    PLAIN.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
  ) as Partial<GenerationRequest>;
  return {
    ...base,
    ...(given.preset !== undefined && preset(given.preset)),
    ...own,
    prompt,
    ...(loras.length > 0 && { loras }),
    ...(given.seed !== undefined && { seed: readSeed("--seed", given.seed) }),
    ...(given.noise !== undefined && { seedSource: given.noise }),
    ...(given.variationSeed !== undefined && {
      variation: {
        seed: readSeed("--variation-seed", given.variationSeed),
        strength: given.variationStrength ?? 0.1,
      },
    }),
    ...(given.image !== undefined && { image: await readImage(given.image) }),
    ...(given.mask !== undefined && { mask: await readImage(given.mask) }),
    ...(given.controlImage !== undefined && {
      control: [
        {
          name: "control",
          image: await readImage(given.controlImage),
          scale: given.controlScale,
          start: given.controlStart,
          end: given.controlEnd,
          guessMode: given.guessMode,
        },
      ],
    }),
    ...(given.preview !== undefined && { preview: {} }),
    ...hiresOf(given, recipe),
    ...(given.extend !== undefined && { extend: parseExtend(given.extend) }),
  };
}

/** The second pass of options or recipe. */
function hiresOf(
  { hiresScale, hiresStrength, hiresSteps, hiresUpscaler }: Given,
  recipe: Recipe | undefined,
): { readonly hires?: HiresOptions } {
  const from = recipe?.hires;
  const scale = hiresScale ?? from?.scale;
  if (scale === undefined) return {};
  const hires = {
    scale,
    strength: hiresStrength ?? from?.strength,
    steps: hiresSteps ?? from?.steps,
    upscaler: hiresUpscaler ?? (from?.upscaler as HiresOptions["upscaler"]),
  };
  const known = Object.entries(hires).filter(([, value]) => value !== undefined);
  return { hires: Object.fromEntries(known) as HiresOptions };
}

const SIDES = ["left", "right", "top", "bottom"] as const;

/** `right=256,top=64` */
function parseExtend(text: string): Partial<Record<(typeof SIDES)[number], number>> {
  const pairs = text.split(",").map((part) => {
    const [, side, pixels] = /^\s*(\w+)\s*=\s*(\d+)\s*$/.exec(part) ?? [];
    if (!(SIDES as readonly string[]).includes(side))
      throw new NijimiError(
        "option",
        `--extend: ${JSON.stringify(part)} must be a side and pixels, such as right=256; sides: ${SIDES.join(", ")}.`,
      );
    return [side, Number(pixels)];
  });
  return Object.fromEntries(pairs) as ReturnType<typeof parseExtend>;
}

/** Seeds reach to 2^64. */
export function readSeed(option: string, text: string): number | bigint {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 2n ** 64n)
    throw new NijimiError(
      "option",
      `${option} must be a whole number from 0 to 2^64 − 1; got ${JSON.stringify(text)}.`,
    );
  const seed = BigInt(text);
  return seed <= Number.MAX_SAFE_INTEGER ? Number(seed) : seed;
}
