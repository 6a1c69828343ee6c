/**
 * A picture's recipe: everything needed to make it again. Written into every picture as JSON, and as the text that
 * other programs know (see `parameters-text.ts`).
 */
import * as z from "zod";
import { NijimiError } from "../../errors.ts";

/** Names the shape of the JSON; a later shape has another number. */
export const RECIPE_SCHEMA = "nijimi/recipe@1";

/** Seeds beyond 2^53 are digits. */
const seed = z.union([z.int(), z.string().regex(/^\d{1,20}$/)]);

/** A file of weights: its name, and its SHA-256 or the first digits of it. */
const weights = z.object({
  name: z.string(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{8,64}$/)
    .optional(),
});

const shape = {
  /** The program that made the picture, with its version. */
  software: z.string().optional(),
  /** `"text-to-image"`, `"image-to-image"`, `"inpaint"` … */
  task: z.string().optional(),
  prompt: z.string().optional(),
  negativePrompt: z.string().optional(),
  /** How the prompt is read. */
  grammar: z.enum(["a1111", "plain"]).optional(),
  seed: seed.optional(),
  /** A second seed, and how much of it is mixed in. */
  variation: z.object({ seed, strength: z.number() }).optional(),
  /** Where noise comes from: torch's generator on the CPU, or Philox. */
  noise: z.enum(["cpu", "philox"]).optional(),
  width: z.int().positive().optional(),
  height: z.int().positive().optional(),
  steps: z.int().positive().optional(),
  sampler: z.string().optional(),
  /** How the noise levels are spaced. */
  schedule: z.string().optional(),
  eta: z.number().optional(),
  /** s in uncond + s · (cond − uncond). */
  guidanceScale: z.number().optional(),
  guidanceRescale: z.number().optional(),
  clipSkip: z.int().optional(),
  /** How much of a given picture is made anew, 0 to 1. */
  strength: z.number().optional(),
  /** The second, larger pass. */
  hires: z
    .object({
      scale: z.number().optional(),
      steps: z.int().optional(),
      strength: z.number().optional(),
      upscaler: z.string().optional(),
    })
    .optional(),
  model: weights.extend({ family: z.string().optional() }).optional(),
  /** How the model's weights are held: `"float32"`, `"int8"` … */
  precision: z.string().optional(),
  vae: weights.optional(),
  loras: z
    .array(weights.extend({ weight: z.number().optional(), textWeight: z.number().optional() }))
    .optional(),
  embeddings: z.array(weights).optional(),
  /** Place in its batch, counted from 0. */
  batch: z.object({ index: z.int().min(0), size: z.int().positive() }).optional(),
  /** Whatever else matters to somebody. */
  extra: z.record(z.string(), z.json()).optional(),
};

/** The recipe's JSON; unknown fields are kept. */
export const recipeSchema = z.looseObject({ schema: z.literal(RECIPE_SCHEMA), ...shape });

/** What is known of how a picture was made. Every field but `schema` may be missing. */
export type Recipe = z.infer<z.ZodObject<typeof shape>> & { readonly schema: typeof RECIPE_SCHEMA };

/** A recipe of the given fields. @throws NijimiError `option` when a field is not what the schema says */
export function createRecipe(fields: Omit<Recipe, "schema">): Recipe {
  const result = recipeSchema.safeParse({ schema: RECIPE_SCHEMA, ...fields });
  if (!result.success) throw new NijimiError("option", `recipe: ${explain(result.error)}`);
  return result.data as Recipe;
}

/** Reads a recipe's JSON. @throws NijimiError `format` when it is no recipe */
export function parseRecipe(json: string): Recipe {
  let result: ReturnType<typeof recipeSchema.safeParse>;
  try {
    result = recipeSchema.safeParse(JSON.parse(json));
  } catch (cause) {
    // no JSON, or nested beyond the stack
    throw new NijimiError(
      "format",
      `recipe: the text is not a recipe's JSON: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (!result.success) throw new NijimiError("format", `recipe: ${explain(result.error)}`);
  return result.data as Recipe;
}

/** A recipe of what could be read of somebody else's; fields that do not fit are left out. */
export function partialRecipe(fields: Readonly<Record<string, unknown>>): Recipe {
  const fitting = Object.entries(fields).filter(
    ([name, value]) =>
      value !== undefined &&
      Object.hasOwn(shape, name) &&
      shape[name as keyof typeof shape].safeParse(value).success,
  );
  return { schema: RECIPE_SCHEMA, ...Object.fromEntries(fitting) } as Recipe;
}

function explain({ issues }: z.ZodError): string {
  return issues
    .map(({ path, message }) => `${path.join(".") || "the whole"}: ${message}`)
    .join("; ");
}
