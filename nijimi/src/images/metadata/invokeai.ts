/** What InvokeAI writes into pictures: `invokeai_metadata` (3 and later), `sd-metadata` (2) and `Dream` (1, 2). */
import { hashField, seedOf } from "./parameters-text.ts";
import { partialRecipe, type Recipe } from "./recipe.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The recipe of `invokeai_metadata`. */
export function recipeOfInvokeMetadata(json: unknown): Recipe | undefined {
  const fields = fieldsOf(json);
  if (!fields) return undefined;
  const version = typeof fields.app_version === "string" ? ` ${fields.app_version}` : "";
  return partialRecipe({
    software: `InvokeAI${version}`,
    prompt: fields.positive_prompt,
    negativePrompt: fields.negative_prompt,
    grammar: "plain",
    seed: seedOf(fields.seed),
    width: fields.width,
    height: fields.height,
    steps: fields.steps,
    sampler: fields.scheduler,
    guidanceScale: fields.cfg_scale,
    guidanceRescale: fields.cfg_rescale_multiplier,
    clipSkip: fields.clip_skip ?? undefined,
    strength: fields.strength,
    model: fileOf(fields.model),
    vae: fileOf(fields.vae),
    loras: lorasOf(fields.loras),
  });
}

/** The recipe of `sd-metadata`. */
export function recipeOfSdMetadata(json: unknown): Recipe | undefined {
  const fields = fieldsOf(json);
  const image = fieldsOf(fields?.image);
  if (!fields || !image) return undefined;
  const [first] = Array.isArray(image.prompt) ? (image.prompt as unknown[]) : [];
  return partialRecipe({
    software: "InvokeAI 2",
    prompt: typeof image.prompt === "string" ? image.prompt : fieldsOf(first)?.prompt,
    grammar: "plain",
    seed: seedOf(image.seed),
    width: image.width,
    height: image.height,
    steps: image.steps,
    sampler: image.sampler,
    guidanceScale: image.cfg_scale,
    strength: image.strength,
    model:
      typeof fields.model_weights === "string"
        ? { name: fields.model_weights, ...hashField(fields.model_hash) }
        : undefined,
  });
}

/** Switches of the `Dream` line and what they set. */
const DREAM_SWITCHES: Readonly<Record<string, keyof Recipe>> = {
  s: "steps",
  S: "seed",
  W: "width",
  H: "height",
  C: "guidanceScale",
  A: "sampler",
  f: "strength",
};

/** The recipe of a `Dream` line: `"a cat" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms`. */
export function recipeOfDream(line: string): Recipe {
  const quoted = /^\s*"((?:\\.|[^"\\])*)"/.exec(line);
  const rest = quoted ? line.slice(quoted[0].length) : line;
  const fields: Record<string, unknown> = {
    software: "InvokeAI",
    prompt: (quoted?.[1] ?? rest.split(/ -[a-zA-Z]/)[0]).replace(/\\(.)/g, "$1"),
  };
  for (const [, letter, value] of rest.matchAll(/(?:^|\s)-([a-zA-Z])\s*(\S+)/g)) {
    const name = DREAM_SWITCHES[letter];
    if (name)
      fields[name] = name === "sampler" ? value : name === "seed" ? seedOf(value) : Number(value);
  }
  return partialRecipe(fields);
}

function fieldsOf(json: unknown): Fields | undefined {
  return typeof json === "object" && json !== null && !Array.isArray(json)
    ? (json as Fields)
    : undefined;
}

function fileOf(json: unknown): object | undefined {
  const fields = fieldsOf(json);
  const name = fields?.name ?? fields?.model_name;
  return typeof name === "string"
    ? { name, ...hashField(String(fields?.hash ?? "").replace(/^\w+:/, "")) }
    : undefined;
}

function lorasOf(json: unknown): object[] | undefined {
  if (!Array.isArray(json)) return undefined;
  return json.flatMap((entry: unknown) => {
    const fields = fieldsOf(entry);
    const file = fileOf(fields?.model ?? fields?.lora);
    return file ? [{ ...file, weight: fields?.weight }] : [];
  });
}
