/** Reading how a picture was made, whoever made it: nijimi, the A1111 web UI and its relatives, ComfyUI, InvokeAI. */
import { EXIF_TAGS, exifText, readExif, userComment, type ExifEntries } from "../exif.ts";
import { readChunks } from "../png/chunks.ts";
import { formatOf, probeImage } from "../probe.ts";
import { recipeOfComfyGraph } from "./comfyui.ts";
import { recipeOfDream, recipeOfInvokeMetadata, recipeOfSdMetadata } from "./invokeai.ts";
import { recipeOfParametersText } from "./parameters-text.ts";
import { readTexts } from "./png-text.ts";
import { parseRecipe, type Recipe } from "./recipe.ts";
import { PARAMETERS_KEYWORD, readXmpTexts, RECIPE_KEYWORD, RECIPE_PREFIX } from "./write.ts";

/** Which program's record was read. */
export type MetadataSource = "nijimi" | "a1111" | "comfyui" | "invokeai";

export interface PictureMetadata {
  /** Whose record the recipe is from, when there is one. */
  readonly source?: MetadataSource;
  /** What it says, as far as it is understood. */
  readonly recipe?: Recipe;
  /** All texts of the file as they are, by keyword: `parameters`, `prompt`, `workflow`, `invokeai_metadata` … */
  readonly texts: Readonly<Record<string, string>>;
}

/** Readers in order of trust: keyword of the text, whose it is, how it is read. */
const READERS: readonly (readonly [
  keyword: string,
  source: MetadataSource,
  read: (text: string) => Recipe | undefined,
])[] = [
  [RECIPE_KEYWORD, "nijimi", parseRecipe],
  ["invokeai_metadata", "invokeai", (text) => recipeOfInvokeMetadata(JSON.parse(text))],
  ["sd-metadata", "invokeai", (text) => recipeOfSdMetadata(JSON.parse(text))],
  ["Dream", "invokeai", recipeOfDream],
  [PARAMETERS_KEYWORD, "a1111", recipeOfParametersText],
  ["prompt", "comfyui", (text) => recipeOfComfyGraph(JSON.parse(text))],
];

/**
 * Reads the texts of a picture and the recipe in them. A record that is damaged counts as absent; its text is still
 * in `texts`.
 *
 * @throws NijimiError `format` or `unsupported` when the file is no picture, or a damaged one
 * @example
 * const { recipe } = readMetadata(bytes);
 * recipe?.seed;
 */
export function readMetadata(bytes: Uint8Array): PictureMetadata {
  const texts = textsOf(bytes);
  for (const [keyword, source, read] of READERS) {
    const text = texts[keyword];
    const recipe = text === undefined ? undefined : attempt(() => read(text));
    if (recipe) return { source, recipe, texts };
  }
  return { texts };
}

function attempt(read: () => Recipe | undefined): Recipe | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function textsOf(bytes: Uint8Array): Record<string, string> {
  const format = formatOf(bytes);
  if (format === "png") return Object.fromEntries(readTexts(readChunks(bytes)));
  const { exif } = probeImage(bytes, { maxPixels: Infinity });
  return {
    ...(exif && textsOfExif(readExif(exif))),
    ...textsOfXmp(format === "avif" ? bytes : new Uint8Array(0)),
  };
}

/** The maker's note is ours when it says so; ComfyUI has `prompt:{…}` and `workflow:{…}` as camera model and make. */
function textsOfExif(entries: ExifEntries): Record<string, string> {
  const note = entries.get(EXIF_TAGS.makerNote);
  const ours = note instanceof Uint8Array ? new TextDecoder().decode(note) : "";
  const comfy = [EXIF_TAGS.model, EXIF_TAGS.make, EXIF_TAGS.imageDescription]
    .map((tag) => /^(prompt|workflow):(.*)$/is.exec(exifText(entries, tag) ?? ""))
    .filter((match) => match !== null)
    .map(([, keyword, text]): [string, string] => [keyword.toLowerCase(), text]);
  const comment = userComment(entries);
  return {
    ...(ours.startsWith(RECIPE_PREFIX) && { [RECIPE_KEYWORD]: ours.slice(RECIPE_PREFIX.length) }),
    ...(comment !== undefined && { [PARAMETERS_KEYWORD]: comment }),
    ...Object.fromEntries(comfy),
  };
}

function textsOfXmp(bytes: Uint8Array): Record<string, string> {
  const { parameters, recipe } = readXmpTexts(bytes);
  return {
    ...(parameters !== undefined && { [PARAMETERS_KEYWORD]: parameters }),
    ...(recipe !== undefined && { [RECIPE_KEYWORD]: recipe }),
  };
}
