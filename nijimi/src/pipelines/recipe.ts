/** The recipe of a picture that a pipeline makes, and the request that a recipe stands for. */
import type { JsonObject } from "../checkpoints/json.ts";
import { createRecipe, type Recipe } from "../images/metadata/recipe.ts";
import { NijimiError, unknownName } from "../errors.ts";
import { SEAMLESS_AXES, type SeamlessAxes } from "./hooks/seamless.ts";
import { type Precision, PRECISIONS } from "./networks/weights.ts";
import type { Pipeline } from "./pipeline.ts";
import type {
  ControlUse,
  GenerationRequest,
  ImagePromptUse,
  PictureAdapterUse,
  TextToImageRequest,
} from "./request.ts";
import type { SamplingPlan } from "./sampling/plan.ts";

type Seed = number | bigint;

/** What a pipeline was loaded with that its pictures depend on. */
export interface LoadFacts {
  readonly precision: Precision;
  /** Variant of the weights that was asked for. */
  readonly variant?: string;
  readonly seamless?: SeamlessAxes;
  /** Name of another autoencoder. */
  readonly vae?: string;
}

/** What a job knows that its request leaves open. */
export interface RecipeFacts {
  readonly task: string;
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly plan: Pick<SamplingPlan, "sampler">;
  readonly prompt: string;
  readonly negativePrompt?: string;
  readonly strength: number;
  readonly seed?: Seed;
  readonly index: number;
  readonly batch: number;
  /** Fields in the place of these; undefined leaves one out. */
  readonly changes: Partial<Recipe>;
}

/** The recipe of image `index`. */
export function recipeOf(
  { name, family, loadedWith }: Pick<Pipeline, "name" | "family" | "loadedWith">,
  request: GenerationRequest,
  facts: RecipeFacts,
): Recipe {
  const { task, width, height, steps, guidanceScale, plan, prompt, negativePrompt } = facts;
  const { strength, seed, index, batch } = facts;
  const { variation, loras } = request;
  const fields: Omit<Recipe, "schema"> = {
    task,
    prompt,
    ...(negativePrompt !== undefined && { negativePrompt }),
    grammar: request.grammar ?? "a1111",
    ...(seed !== undefined && { seed: jsonSeed(seed) }),
    ...(variation && {
      variation: {
        seed: jsonSeed(BigInt(variation.seed) + BigInt(index)),
        strength: variation.strength,
      },
    }),
    noise: request.seedSource === "nv" ? "philox" : "cpu",
    width,
    height,
    steps,
    sampler: request.sampler ?? plan.sampler,
    ...given(request, ["schedule", "eta", "guidanceRescale", "clipSkip"]),
    guidanceScale,
    ...(strength < 1 && { strength }),
    model: { name: lastPart(name), family },
    precision: loadedWith.precision,
    ...(loadedWith.vae !== undefined && { vae: { name: loadedWith.vae } }),
    ...(loras &&
      loras.length > 0 && {
        loras: loras.map(({ name: lora, scale = 1, textScale = scale }) => ({
          name: lora,
          weight: scale,
          textWeight: textScale,
        })),
      }),
    batch: { index, size: batch },
    ...facts.changes,
    ...extraOf(request, loadedWith, facts.changes),
  };
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return createRecipe(Object.fromEntries(known));
}

/** Fields of a request that a recipe holds as they are, among what is extra. */
const EXTRA = [
  "prompt2", "negativePrompt2", "blend", "emphasis", "negativeClipSkip", "timesteps", "sigmas", "originalSteps",
  "microConditioning", "freeU",
] as const satisfies readonly (keyof GenerationRequest)[]; // prettier-ignore

/** What tasks add to it. */
const EXTRA_OF_TASKS = ["refinerStart", "noiseLevel", "imageGuidanceScale"];

function extraOf(
  request: GenerationRequest,
  { variant, seamless }: LoadFacts,
  { extra }: Partial<Recipe>,
): Partial<Recipe> {
  const { scheduler } = request;
  const all: Record<string, unknown> = {
    ...(variant !== undefined && { variant }),
    ...(seamless !== undefined && { seamless }),
    ...extra,
    ...plainJson({ ...given(request, EXTRA), ...adaptersWithoutPictures(request) }),
    ...(scheduler && { scheduler: finite(scheduler) }),
  };
  return Object.keys(all).length === 0 ? {} : { extra: all as Recipe["extra"] };
}

/** Without what is undefined inside. */
function plainJson(value: object): object {
  return JSON.parse(JSON.stringify(value)) as object;
}

/** JSON has no infinities; diffusers writes one, which is the default of its setting. */
function finite(config: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => Math.abs(Number(value)) !== Infinity),
  );
}

function given<K extends keyof GenerationRequest>(
  request: GenerationRequest,
  names: readonly K[],
): Pick<GenerationRequest, K> {
  return Object.fromEntries(
    names.flatMap((name) => (request[name] === undefined ? [] : [[name, request[name]]])),
  ) as Pick<GenerationRequest, K>;
}

/** JSON has no whole numbers beyond 2^53; those are digits. */
function jsonSeed(seed: Seed): number | string {
  return seed >= 0 && seed <= Number.MAX_SAFE_INTEGER
    ? Number(seed)
    : String(BigInt.asUintN(64, BigInt(seed)));
}

/** The name of a file or folder. */
export function lastPart(path: string): string {
  return (
    path
      .replace(/[\\/]+$/, "")
      .split(/[\\/]/)
      .at(-1) ?? path
  );
}

/** Adapters that looked at pictures, which a recipe does not hold. */
export interface AdaptersOfRecipe {
  readonly control: readonly Omit<ControlUse, "image">[];
  readonly adapters: readonly Omit<PictureAdapterUse, "image">[];
  readonly imagePrompts: readonly Omit<ImagePromptUse, "images">[];
}

/** How a request uses adapters that look at pictures. */
export function adaptersWithoutPictures({
  control,
  adapters,
  imagePrompts,
}: GenerationRequest): Partial<AdaptersOfRecipe> {
  return {
    ...(control && { control: control.map(({ image: _image, ...use }) => use) }),
    ...(adapters && { adapters: adapters.map(({ image: _image, ...use }) => use) }),
    ...(imagePrompts && { imagePrompts: imagePrompts.map(({ images: _images, ...use }) => use) }),
  };
}

/** The adapters that the picture of a recipe was made with, under the names of the pipeline that made it. */
export function adaptersOfRecipe({ extra = {} }: Recipe): AdaptersOfRecipe {
  const list = (value: unknown) => (Array.isArray(value) ? (value as never[]) : []);
  return {
    control: list(extra.control),
    adapters: list(extra.adapters),
    imagePrompts: list(extra.imagePrompts),
  };
}

/**
 * The request that makes the picture of a recipe again. Pictures that it was made from are not in a recipe: add the
 * `image` and `mask` of tasks that begin with them, and what {@link adaptersOfRecipe} looked at.
 *
 * @throws NijimiError `option` when the recipe lacks what a picture depends on
 */
export function requestOfRecipe(
  recipe: Recipe,
): TextToImageRequest & { readonly strength?: number } {
  const { prompt, seed, noise, variation, loras, extra } = recipe;
  if (prompt === undefined || seed === undefined)
    throw new NijimiError(
      "option",
      "The recipe has no prompt or no seed, so the picture cannot be made again.",
    );
  const read = (value: number | string): Seed =>
    typeof value === "string" ? BigInt(value) : value;
  const plain = [
    "negativePrompt", "grammar", "width", "height", "steps", "sampler", "schedule", "eta", "guidanceScale",
    "guidanceRescale", "clipSkip", "strength",
  ] as const; // prettier-ignore
  return {
    prompt,
    seed: read(seed),
    ...Object.fromEntries(
      plain.flatMap((name) => (recipe[name] === undefined ? [] : [[name, recipe[name]]])),
    ),
    ...Object.fromEntries(
      ["scheduler", ...EXTRA_OF_TASKS, ...EXTRA].flatMap((name) =>
        extra?.[name] === undefined ? [] : [[name, extra[name]]],
      ),
    ),
    ...(noise === "philox" && { seedSource: "nv" as const }),
    ...(variation && { variation: { seed: read(variation.seed), strength: variation.strength } }),
    ...(loras && {
      loras: loras.map(({ name, weight, textWeight }) => ({
        name,
        scale: weight,
        textScale: textWeight,
      })),
    }),
  };
}

/**
 * What the pipeline is loaded with for the picture of a recipe, beside the model.
 *
 * @throws NijimiError `option` for what this version does not know
 */
export function loadFactsOfRecipe({ precision, vae, extra = {} }: Recipe): Partial<LoadFacts> {
  const { variant, seamless } = extra;
  return {
    ...(precision !== undefined && { precision: oneOf("precision", PRECISIONS, precision) }),
    ...(typeof variant === "string" && { variant }),
    ...(typeof seamless === "string" && {
      seamless: oneOf("seamless", SEAMLESS_AXES, seamless),
    }),
    ...(vae !== undefined && { vae: vae.name }),
  };
}

function oneOf<T extends string>(what: string, accepted: readonly T[], name: string): T {
  const found = accepted.find((own) => own === name);
  if (found === undefined) throw unknownName(`${what} in the recipe`, name, accepted);
  return found;
}
