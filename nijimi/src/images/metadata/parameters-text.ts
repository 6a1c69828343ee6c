/**
 * The text that the A1111 web UI writes into pictures, and that half of the field reads: the prompt, "Negative prompt:"
 * and its text, and a last line of "Steps: 20, Sampler: Euler a, …".
 */
import { partialRecipe, type Recipe } from "./recipe.ts";

/** The text taken apart. Settings keep their order. */
export interface ParametersText {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly settings: ReadonlyMap<string, string>;
}

/** A last line with fewer settings than this is part of the prompt. */
const MIN_SETTINGS = 3;

const NEGATIVE = "Negative prompt:";

/** Takes the text apart. There is no text that it refuses. */
export function parseParametersText(text: string): ParametersText {
  const lines = text.trim().split("\n");
  const last = parseSettings(lines.at(-1)!);
  const settings = last.size >= MIN_SETTINGS ? last : new Map<string, string>();
  const body = settings.size > 0 ? lines.slice(0, -1) : lines;
  const from = body.findIndex((line) => line.trim().startsWith(NEGATIVE));
  const prompt = from < 0 ? body : body.slice(0, from);
  const negative =
    from < 0 ? [] : [body[from].trim().slice(NEGATIVE.length), ...body.slice(from + 1)];
  return { prompt: joinLines(prompt), negativePrompt: joinLines(negative), settings };
}

function joinLines(lines: readonly string[]): string {
  return lines.map((line) => line.trim()).join("\n");
}

/** Writes the text. Values with commas, colons or line ends are quoted. */
export function formatParametersText({ prompt, negativePrompt, settings }: ParametersText): string {
  const line = [...settings]
    .map(([key, value]) => `${key}: ${/[,:\n]/.test(value) ? JSON.stringify(value) : value}`)
    .join(", ");
  return [prompt, ...(negativePrompt === "" ? [] : [`${NEGATIVE} ${negativePrompt}`]), line].join(
    "\n",
  );
}

/** "Key: value" separated by commas; a value may be a JSON string. */
function parseSettings(line: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (let at = 0; at < line.length;) {
    const colon = line.indexOf(":", at);
    if (colon < 0) break;
    // what stands before an earlier comma has no value
    const key = line.slice(Math.max(at, line.lastIndexOf(",", colon) + 1), colon).trim();
    let start = colon + 1;
    while (line[start] === " ") start++;
    const end = line[start] === '"' ? endOfQuoted(line, start) : line.indexOf(",", start);
    const value = line.slice(start, end < 0 ? line.length : end).trim();
    if (/^[\p{L}\p{N}_][\p{L}\p{N}_ \-/]+$/u.test(key)) settings.set(key, unquote(value));
    const comma = line.indexOf(",", end < 0 ? line.length : end);
    at = comma < 0 ? line.length : comma + 1;
  }
  return settings;
}

/** Where a quoted value ends, after its quote; where the line's next comma is when the quote is not closed. */
function endOfQuoted(line: string, start: number): number {
  for (let i = start + 1; i < line.length; i++) {
    if (line[i] === "\\") i++;
    else if (line[i] === '"') return i + 1;
  }
  return line.indexOf(",", start);
}

function unquote(value: string): string {
  if (!value.startsWith('"') || !value.endsWith('"')) return value;
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === "string" ? parsed : value;
  } catch {
    return value;
  }
}

/** The recipe as text for other programs. */
export function parametersTextOf(recipe: Recipe): string {
  const {
    prompt = "",
    negativePrompt = "",
    model,
    vae,
    variation,
    hires,
    loras = [],
    embeddings = [],
  } = recipe;
  const hashes = (
    files: readonly { readonly name: string; readonly sha256?: string }[],
  ): string | undefined => {
    const known = files.filter(({ sha256 }) => sha256 !== undefined);
    return known.length === 0
      ? undefined
      : known
          .map(({ name, sha256 }) => `${name.replace(/[:,]/g, "")}: ${sha256!.slice(0, 12)}`)
          .join(", ");
  };
  const entries: readonly (readonly [key: string, value: string | number | undefined])[] = [
    ["Steps", recipe.steps],
    ["Sampler", recipe.sampler],
    ["Schedule type", recipe.schedule],
    ["CFG scale", recipe.guidanceScale],
    ["Seed", recipe.seed],
    [
      "Size",
      recipe.width === undefined || recipe.height === undefined
        ? undefined
        : `${recipe.width}x${recipe.height}`,
    ],
    ["Model hash", model?.sha256?.slice(0, 10)],
    ["Model", model?.name],
    ["VAE hash", vae?.sha256?.slice(0, 10)],
    ["VAE", vae?.name],
    ["Variation seed", variation?.seed],
    ["Variation seed strength", variation?.strength],
    ["Denoising strength", recipe.strength ?? hires?.strength],
    ["Eta", recipe.eta],
    ["Clip skip", recipe.clipSkip],
    ["RNG", recipe.noise === "philox" ? "NV" : recipe.noise === "cpu" ? "CPU" : undefined],
    ["CFG Rescale phi", recipe.guidanceRescale],
    ["Hires upscale", hires?.scale],
    ["Hires steps", hires?.steps],
    ["Hires upscaler", hires?.upscaler],
    ["Lora hashes", hashes(loras)],
    ["TI hashes", hashes(embeddings)],
    ["Version", recipe.software],
  ];
  const settings = new Map(
    entries.filter(([, value]) => value !== undefined).map(([key, value]) => [key, String(value)]),
  );
  return formatParametersText({ prompt, negativePrompt, settings });
}

/** What the text says, as a recipe. */
export function recipeOfParametersText(text: string): Recipe {
  const { prompt, negativePrompt, settings } = parseParametersText(text);
  const number = (key: string): number | undefined =>
    settings.has(key) ? Number(settings.get(key)) : undefined;
  const [width, height] = (/^(\d+)x(\d+)$/.exec(settings.get("Size") ?? "") ?? [])
    .slice(1)
    .map(Number);
  const file = (key: string): object | undefined =>
    settings.has(key)
      ? { name: settings.get(key), ...hashField(settings.get(`${key} hash`)) }
      : undefined;
  const variation = settings.has("Variation seed")
    ? {
        seed: seedOf(settings.get("Variation seed")),
        strength: number("Variation seed strength") ?? 0,
      }
    : undefined;
  const hires = {
    scale: number("Hires upscale"),
    steps: number("Hires steps"),
    upscaler: settings.get("Hires upscaler"),
  };
  const isHires = Object.values(hires).some((value) => value !== undefined);
  return partialRecipe({
    software: settings.get("Version"),
    prompt,
    negativePrompt,
    grammar: "a1111",
    seed: seedOf(settings.get("Seed")),
    variation,
    noise: settings.has("RNG")
      ? settings.get("RNG") === "NV"
        ? "philox"
        : settings.get("RNG")!.toLowerCase()
      : undefined,
    width,
    height,
    steps: number("Steps"),
    sampler: settings.get("Sampler"),
    schedule: settings.get("Schedule type"),
    eta: number("Eta"),
    guidanceScale: number("CFG scale"),
    guidanceRescale: number("CFG Rescale phi"),
    clipSkip: number("Clip skip"),
    strength: isHires ? undefined : number("Denoising strength"),
    hires: isHires ? { ...hires, strength: number("Denoising strength") } : undefined,
    model: file("Model"),
    vae: file("VAE"),
    loras: namedHashes(settings.get("Lora hashes")),
    embeddings: namedHashes(settings.get("TI hashes")),
  });
}

/** A seed as a number, or as digits where a number would lose some. */
export function seedOf(value: unknown): number | string | undefined {
  const digits = String(value ?? "").trim();
  if (!/^-?\d{1,20}$/.test(digits)) return undefined;
  return Number.isSafeInteger(Number(digits)) ? Number(digits) : digits;
}

/** A hash where it is one. */
export function hashField(hash: unknown): { readonly sha256?: string } {
  const digits = String(hash ?? "").toLowerCase();
  return /^[0-9a-f]{8,64}$/.test(digits) ? { sha256: digits } : {};
}

/** "name: hash, name: hash" */
function namedHashes(text: string | undefined): object[] | undefined {
  return text?.split(",").map((part) => {
    const colon = part.lastIndexOf(":");
    return {
      name: (colon < 0 ? part : part.slice(0, colon)).trim(),
      ...hashField(colon < 0 ? "" : part.slice(colon + 1).trim()),
    };
  });
}
